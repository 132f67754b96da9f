//! The `vfs` driver: every snapshot is a full copy of its parent.
//!
//! ```text
//! <number>/fs      the whole tree
//! ```
//!
//! It needs nothing of the kernel, and is slow and large where the file system
//! cannot share blocks between files.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use gantry_archive::{Change, Mirror, PackOptions, Packed, Whiteouts, copy_tree};
use gantry_types::Mount;
use rustix::fs::Mode;

use crate::driver::Ignore;
use crate::error::Error;
use crate::store::Store;
use crate::stored::{CONTENTS, Layout, Stored, contents, open};
use crate::tree::State;

/// The driver.
pub(crate) type Vfs = Stored<Copies>;

/// Its layout.
pub(crate) struct Copies;

impl Layout for Copies {
    const NAME: &'static str = "vfs";
    const INDEPENDENT_LAYERS: bool = false;
    const WHITEOUTS: Whiteouts = Whiteouts::Remove;

    fn fill(store: &Store, directory: &Path, parent: Option<&str>) -> Result<(), Error> {
        let copy = directory.join(CONTENTS);
        rustix::fs::mkdir(&copy, Mode::from_raw_mode(0o755))
            .map_err(Error::disk("mkdir", &copy))?;
        if let Some(parent) = parent {
            let parent = contents(store, store.tree().get(parent)?.number);
            let from = File::open(&parent).map_err(Error::disk("open", &parent))?;
            let to = File::open(&copy).map_err(Error::disk("open", &copy))?;
            copy_tree(from, to)?;
        }
        Ok(())
    }

    fn mounts(store: &Store, key: &str) -> Result<Mount, Error> {
        let tree = store.tree();
        let node = tree.get(key)?;
        Ok(Mount::Bind {
            source: contents(store, node.number),
            read_only: node.state != State::Active,
        })
    }

    fn changes(
        store: &Store,
        key: &str,
        _beside: Option<&Path>,
        ignore: Ignore<'_>,
    ) -> Result<Vec<Change>, Error> {
        let (base, tree) = trees(store, key)?;
        Ok(match base {
            Some(base) => gantry_archive::changes(base, tree, ignore)?,
            None => gantry_archive::upper_changes(&[] as &[File], tree, ignore)?,
        })
    }

    fn pack(
        store: &Store,
        key: &str,
        mirror: Mirror<'_>,
        writer: &mut dyn Write,
        ignore: Ignore<'_>,
    ) -> Result<Packed, Error> {
        let (base, tree) = trees(store, key)?;
        let options = PackOptions::layer(Self::WHITEOUTS);
        Ok(match base {
            Some(base) => {
                gantry_archive::pack_changes_mirrored(base, tree, writer, &options, ignore, mirror)?
            }
            None => gantry_archive::pack_mirrored(tree, writer, &options, mirror)?,
        })
    }
}

/// The parent's tree, if there is one, and the snapshot's own.
fn trees(store: &Store, key: &str) -> Result<(Option<File>, File), Error> {
    let node = store.tree().get(key)?.clone();
    let parent = node.parent.as_deref();
    let parent = parent.map(|parent| store.tree().get(parent).map(|node| node.number));
    let base = parent
        .transpose()?
        .map(|number| open(&contents(store, number)));
    Ok((base.transpose()?, open(&contents(store, node.number))?))
}
