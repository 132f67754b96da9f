//! What the file system says of a file, as an entry.

use std::collections::BTreeMap;
use std::fs::File;

use rustix::fs::{FileType, major, minor};
use rustix::io::Errno;

use super::walk::Found;
use crate::apply::{Node, OPAQUE_XATTR, is_wanted, list, path_of};
use crate::error::Error;
use crate::tar::{Entry, Kind, Timestamp};

/// What overlayfs notes on its files.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// The kernel's bound of one attribute.
const LONGEST_VALUE: usize = 64 << 10;

type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The entry of a file, all extended attributes included. A directory's name
/// ends with a slash.
pub(crate) fn describe(found: &Found<'_>) -> Result<Entry, Error> {
    let mut entry = plain(found)?;
    entry.xattrs = xattrs(found)?;
    Ok(entry)
}

/// The same of a regular file that is open.
pub(crate) fn describe_open(found: &Found<'_>, file: &File) -> Result<Entry, Error> {
    let mut entry = plain(found)?;
    // Nearly always there are none, and this is cheaper than by a path.
    let mut names = [0u8; 64];
    let none = match rustix::fs::flistxattr(file, &mut names) {
        Ok(length) => length == 0,
        Err(errno) => errno == Errno::OPNOTSUPP,
    };
    if !none {
        entry.xattrs = xattrs(found)?;
    }
    Ok(entry)
}

fn plain(found: &Found<'_>) -> Result<Entry, Error> {
    let stat = &found.stat;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        _ => {
            return Err(Error::Unsupported {
                entry: crate::error::display(&found.path),
                what: "this type of file".to_owned(),
            });
        }
    };
    let mut path = found.path.clone();
    if kind == Kind::Directory {
        if path.is_empty() {
            path.push(b'.');
        }
        path.push(b'/');
    }
    let mut entry = Entry::new(path, kind);
    entry.mode = stat.st_mode & 0o7777;
    entry.uid = stat.st_uid;
    entry.gid = stat.st_gid;
    entry.mtime = Timestamp {
        seconds: stat.st_mtime,
        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    };
    match kind {
        Kind::File => entry.size = u64::try_from(stat.st_size).unwrap_or(0),
        Kind::CharDevice | Kind::BlockDevice => {
            entry.device = (major(stat.st_rdev), minor(stat.st_rdev));
        }
        Kind::Symlink => {
            entry.link = rustix::fs::readlinkat(found.parent, found.name(), Vec::new())
                .map_err(Error::file("read link", &found.path))?
                .into_bytes();
        }
        _ => {}
    }
    Ok(entry)
}

fn xattrs(found: &Found<'_>) -> Result<Xattrs, Error> {
    let path = path_of(Node {
        parent: found.parent,
        name: found.name(),
    });
    let failed = "read extended attributes of";
    let mut xattrs = Xattrs::new();
    for key in list(&path).map_err(Error::file(failed, &found.path))? {
        if !is_wanted(&key) && !key.starts_with(OVERLAY) {
            continue;
        }
        if let Some(value) = value(&path, &key).map_err(Error::file(failed, &found.path))? {
            xattrs.insert(key, value);
        }
    }
    Ok(xattrs)
}

fn value(path: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let mut small = [0u8; 256];
    match rustix::fs::lgetxattr(path, key, &mut small) {
        Ok(length) => Ok(Some(small[..length].to_vec())),
        Err(Errno::NODATA) => Ok(None),
        Err(Errno::RANGE) => {
            let mut large = vec![0u8; LONGEST_VALUE];
            let length = rustix::fs::lgetxattr(path, key, &mut large)?;
            large.truncate(length);
            Ok(Some(large))
        }
        Err(errno) => Err(errno),
    }
}

/// Takes overlayfs' own attributes out of an entry.
pub(crate) fn take_overlay_xattrs(entry: &mut Entry) -> Xattrs {
    let all = std::mem::take(&mut entry.xattrs);
    let (marks, rest) = all
        .into_iter()
        .partition(|(key, _)| key.starts_with(OVERLAY));
    entry.xattrs = rest;
    marks
}

/// Whether the marks are those of an opaque directory.
pub(crate) fn is_opaque(marks: &Xattrs) -> bool {
    marks.get(OPAQUE_XATTR).is_some_and(|value| value == b"y")
}

/// Refuses a file whose contents are elsewhere.
pub(crate) fn check_self_contained(entry: &Entry, marks: &Xattrs) -> Result<(), Error> {
    for mark in ["redirect", "metacopy"] {
        if marks.contains_key(&[OVERLAY, mark.as_bytes()].concat()) {
            return Err(Error::Unsupported {
                entry: crate::error::display(&entry.path),
                what: format!("an overlay mounted with {mark}"),
            });
        }
    }
    Ok(())
}

/// Makes the entry another name of `first`.
pub(crate) fn make_hard_link(entry: &mut Entry, first: &[u8]) {
    entry.kind = Kind::HardLink;
    entry.link = first.to_vec();
    entry.size = 0;
    entry.device = (0, 0);
    // The first entry has them; readers that take them from here again would
    // only write the same.
    entry.xattrs.clear();
}
