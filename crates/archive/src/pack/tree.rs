//! Any file or tree as an archive, under a name of the caller's choice.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType};

use super::packer::{self, Packer};
use super::walk::{Found, Walk};
use super::{PackOptions, entry};
use crate::apply::{Owners, Whiteouts};
use crate::error::Error;
use crate::tar::Output;

/// A directory that a walk may enter or leave closed.
#[derive(Debug, Clone, Copy)]
pub struct Door<'d> {
    /// Its path below the top, without a leading slash.
    pub path: &'d [u8],
    /// The directory that it is in.
    pub parent: BorrowedFd<'d>,
    /// Its name there.
    pub name: &'d [u8],
    /// The device that its file system is on.
    pub device: u64,
}

/// How [`pack_tree`] shows what it packs.
#[derive(Clone, Default)]
pub struct TreeOptions<'o> {
    /// The name of the top: of a file as it is, of a directory with a slash after
    /// it, and before all that is below.
    pub name: Vec<u8>,
    /// As in [`PackOptions`].
    pub sparse: bool,
    /// As in [`PackOptions`].
    pub whole_seconds: bool,
    /// As in [`PackOptions`].
    pub time: Option<i64>,
    /// Whether the top directory gets an entry.
    pub top_entry: bool,
    /// Whom the archive names for who owns what.
    pub owners: Option<Owners<'o>>,
}

/// Writes what is called `name` in `parent` (no link is followed there; `.` is the
/// directory itself), with all below it, to `output`: directories before their
/// contents, sockets left out, pipes and devices never opened. A directory that
/// `may_enter` refuses is shown empty.
///
/// # Errors
/// `File` when it cannot be read, `Write` when the output fails.
pub fn pack_tree<O: Output>(
    parent: impl AsFd,
    name: &[u8],
    options: &TreeOptions<'_>,
    output: O,
    mut may_enter: impl FnMut(Door<'_>) -> bool,
) -> Result<O, Error> {
    let parent = parent.as_fd();
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let stat = rustix::fs::statat(parent, name, flags).map_err(Error::file("lstat", name))?;
    let packing = PackOptions {
        sparse: options.sparse,
        whole_seconds: options.whole_seconds,
        time: options.time,
        ..PackOptions::new(Whiteouts::Literal)
    };
    let packer = Packer::new(output, &packing).with_owners(options.owners);
    let path = name.to_vec();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        let found = Found { path, parent, stat };
        return one(packer, &found, &options.name);
    }
    let top = super::walk::enter(parent, name).map_err(Error::file("open", name))?;
    let mut prefix = options.name.clone();
    if !prefix.is_empty() && !prefix.ends_with(b"/") {
        prefix.push(b'/');
    }
    let mut packer = packer.with_prefix(&prefix);
    if options.top_entry {
        packer.root_entry(top.as_fd())?;
    }
    let mut walk = Walk::new(top.as_fd())?;
    while let Some(found) = walk.next()? {
        packer.add(&found)?;
        let directory = FileType::from_raw_mode(found.stat.st_mode) == FileType::Directory;
        let door = Door {
            path: &found.path,
            parent: found.parent,
            name: found.name(),
            device: found.stat.st_dev,
        };
        if directory && !may_enter(door) {
            walk.pass_by();
        }
    }
    packer.finish().map(|(output, _)| output)
}

/// A single file under another name.
fn one<O: Output>(mut packer: Packer<'_, O>, found: &Found<'_>, name: &[u8]) -> Result<O, Error> {
    match FileType::from_raw_mode(found.stat.st_mode) {
        FileType::Socket => {}
        FileType::RegularFile => {
            if let Some(file) = packer::open(found)? {
                let mut entry = entry::describe_open(found, &file)?;
                entry.path = name.to_vec();
                packer.file(found, &file, entry)?;
            }
        }
        _ => {
            let mut entry = entry::describe(found)?;
            entry.path = name.to_vec();
            packer.append(entry, std::io::empty())?;
        }
    }
    packer.finish().map(|(output, _)| output)
}
