//! The `overlay` driver: one directory for each layer, joined by overlayfs.
//!
//! ```text
//! <number>/fs      the layer; the upper directory while active
//! <number>/work    overlayfs' own, only used while active
//! <number>/scaffold  not ours: what the containers on this layer have in common
//! ```
//!
//! A layer's directory is in overlayfs' format and does not depend on those
//! below it. So layers are unpacked in any order, and a commit moves nothing.

use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use gantry_archive::{Change, Mirror, PackOptions, Packed, Whiteouts};
use gantry_types::Mount;
use rustix::fs::{Mode, XattrFlags};
use rustix::io::Errno;

use crate::driver::Ignore;
use crate::error::Error;
use crate::store::Store;
use crate::stored::{CONTENTS, Layout, Stored, contents, open};
use crate::tree::State;

const WORK: &str = "work";
const OPAQUE: &str = "trusted.overlay.opaque";

/// The driver.
pub(crate) type Overlay = Stored<Layers>;

/// Its layout.
pub(crate) struct Layers;

impl Layout for Layers {
    const NAME: &'static str = "overlay";
    const INDEPENDENT_LAYERS: bool = true;
    const WHITEOUTS: Whiteouts = Whiteouts::Overlay;

    fn fill(store: &Store, directory: &Path, parent: Option<&str>) -> Result<(), Error> {
        let layer = directory.join(CONTENTS);
        let make = |path: &Path, mode| {
            rustix::fs::mkdir(path, Mode::from_raw_mode(mode)).map_err(Error::disk("mkdir", path))
        };
        make(&layer, 0o755)?;
        make(&directory.join(WORK), 0o700)?;
        if let Some(parent) = parent {
            // The top directory of the view is that of the top layer.
            let number = store.tree().get(parent)?.number;
            copy_attributes(&contents(store, number), &layer)?;
        }
        Ok(())
    }

    fn mounts(store: &Store, key: &str) -> Result<Mount, Error> {
        let (state, numbers) = layers(store, key)?;
        let active = state == State::Active;
        let mut layers = numbers.iter().map(|number| contents(store, *number));
        if numbers.len() == 1
            && let Some(source) = layers.next()
        {
            return Ok(Mount::Bind {
                source,
                read_only: !active,
            });
        }
        let upper = match numbers.first() {
            Some(number) if active => layers
                .next()
                .map(|upper| (upper, store.path(*number).join(WORK))),
            _ => None,
        };
        Ok(Mount::Overlay {
            lower: layers.collect(),
            upper,
        })
    }

    fn changes(
        store: &Store,
        key: &str,
        beside: Option<&Path>,
        ignore: Ignore<'_>,
    ) -> Result<Vec<Change>, Error> {
        let number = store.tree().get(key)?.number;
        let layers = below(store, key, beside)?;
        let upper = open(&contents(store, number))?;
        Ok(gantry_archive::upper_changes(&layers, upper, ignore)?)
    }

    /// What is to be ignored is a file of its own here, and small: it goes along.
    fn pack(
        store: &Store,
        key: &str,
        mirror: Mirror<'_>,
        writer: &mut dyn Write,
        _ignore: Ignore<'_>,
    ) -> Result<Packed, Error> {
        let number = store.tree().get(key)?.number;
        let upper = open(&contents(store, number))?;
        let options = PackOptions::layer(Self::WHITEOUTS);
        Ok(gantry_archive::pack_mirrored(
            upper, writer, &options, mirror,
        )?)
    }
}

/// The layers below a snapshot, topmost first.
fn below(store: &Store, key: &str, beside: Option<&Path>) -> Result<Vec<File>, Error> {
    let mut layers = Vec::new();
    let beside = beside.map(|layer| layer.join(CONTENTS));
    if let Some(layer) = beside.filter(|layer| layer.is_dir()) {
        layers.push(open(&layer)?);
    }
    let chain = store.tree().chain(key)?;
    for (_, node) in chain.into_iter().skip(1) {
        layers.push(open(&contents(store, node.number))?);
    }
    Ok(layers)
}

/// The directories that make up the snapshot, its own first, down to the first
/// that hides all below it: overlayfs does not look at that mark on the top
/// directory of a layer.
fn layers(store: &Store, key: &str) -> Result<(State, Vec<u64>), Error> {
    let chain = store.tree().chain(key)?;
    let state = chain.first().map_or(State::Busy, |(_, node)| node.state);
    let mut numbers = Vec::with_capacity(chain.len());
    for (key, node) in chain {
        numbers.push(node.number);
        // An active layer may become opaque, a committed one does not change.
        let opaque = match node.opaque {
            Some(opaque) => opaque,
            None => {
                let opaque = is_opaque(&contents(store, node.number))?;
                if node.state == State::Committed
                    && let Some(node) = store.tree().get_mut(&key)
                {
                    node.opaque = Some(opaque);
                }
                opaque
            }
        };
        if opaque {
            break;
        }
    }
    Ok((state, numbers))
}

fn is_opaque(directory: &Path) -> Result<bool, Error> {
    let mut value = [0u8; 4];
    match rustix::fs::lgetxattr(directory, OPAQUE, &mut value) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(Error::disk("look at", directory)(errno)),
    }
}

/// Gives a new top directory the owner, permissions and extended attributes of
/// the one below. Nearly always there is nothing to do.
fn copy_attributes(from: &Path, to: &Path) -> Result<(), Error> {
    let metadata = from.symlink_metadata().map_err(Error::disk("stat", from))?;
    if (metadata.uid(), metadata.gid()) != (0, 0) {
        std::os::unix::fs::lchown(to, Some(metadata.uid()), Some(metadata.gid()))
            .map_err(Error::disk("chown", to))?;
    }
    let permissions = std::fs::Permissions::from_mode(metadata.mode() & 0o7777);
    std::fs::set_permissions(to, permissions).map_err(Error::disk("chmod", to))?;
    let mut names = [0u8; 4096];
    let length = match rustix::fs::llistxattr(from, &mut names) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::RANGE) => 0,
        Err(errno) => return Err(Error::disk("list extended attributes of", from)(errno)),
    };
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty()
            || name.starts_with(b"trusted.overlay.")
            || name.starts_with(b"security.")
        {
            continue;
        }
        let name = std::ffi::OsStr::from_bytes(name);
        let mut value = vec![0u8; 64 << 10];
        let length = rustix::fs::lgetxattr(from, name, &mut value)
            .map_err(Error::disk("read extended attribute of", from))?;
        rustix::fs::lsetxattr(to, name, &value[..length], XattrFlags::empty())
            .map_err(Error::disk("set extended attribute of", to))?;
    }
    Ok(())
}
