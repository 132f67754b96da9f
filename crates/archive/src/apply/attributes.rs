//! Owner, permissions, extended attributes and times of what was made.
//!
//! Order matters: a change of owner clears set-user-id and capabilities, so it
//! comes first; a time comes last.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::Error;
use crate::tar::{Entry, Kind, Timestamp};

/// The attribute with the permissions that new files in a directory get. It
/// must not be there before the files of the archive are.
pub(crate) const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// Something that was made, by its directory and its name in it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'n> {
    pub(crate) parent: BorrowedFd<'n>,
    pub(crate) name: &'n [u8],
}

/// Whether an extended attribute of an archive is set. Those that direct
/// overlayfs, or the host's security labels, are not an image's to choose.
pub(crate) fn is_wanted(name: &[u8]) -> bool {
    const FOREIGN: [&[u8]; 5] = [
        b"trusted.overlay.",
        b"user.overlay.",
        b"security.selinux",
        b"security.apparmor",
        b"security.SMACK64",
    ];
    !FOREIGN.iter().any(|prefix| name.starts_with(prefix))
}

/// Owner, permissions, extended attributes and time of a new regular file.
pub(super) fn set_on_file(file: &File, entry: &Entry) -> Result<(), Error> {
    let name = &entry.path;
    // Looking is cheaper than writing what is there.
    let made = rustix::fs::fstat(file).map_err(Error::file("stat", name))?;
    let owned = (made.st_uid, made.st_gid) == (entry.uid, entry.gid);
    if !owned {
        rustix::fs::fchown(file, Some(uid(entry)), Some(gid(entry)))
            .map_err(Error::file("chown", name))?;
    }
    if !owned || made.st_mode & 0o7777 != entry.mode {
        rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))
            .map_err(Error::file("chmod", name))?;
    }
    for (key, value) in wanted(&entry.xattrs) {
        let set = rustix::fs::fsetxattr(file, key, value, XattrFlags::empty());
        tolerate(set, key).map_err(Error::file("set extended attribute of", name))?;
    }
    rustix::fs::futimens(file, &times(entry.mtime)).map_err(Error::file("set time of", name))
}

/// Owner, permissions and extended attributes of anything but a regular file.
pub(crate) fn set_on_node(node: Node<'_>, entry: &Entry) -> Result<(), Error> {
    let name = &entry.path;
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(
        node.parent,
        node.name,
        Some(uid(entry)),
        Some(gid(entry)),
        nofollow,
    )
    .map_err(Error::file("chown", name))?;
    if entry.kind != Kind::Symlink {
        rustix::fs::chmodat(
            node.parent,
            node.name,
            Mode::from_raw_mode(entry.mode),
            AtFlags::empty(),
        )
        .map_err(Error::file("chmod", name))?;
    }
    let path = path_of(node);
    for (key, value) in wanted(&entry.xattrs).filter(|(key, _)| *key != DEFAULT_ACL) {
        let set = rustix::fs::lsetxattr(path.as_slice(), key, value, XattrFlags::empty());
        tolerate(set, key).map_err(Error::file("set extended attribute of", name))?;
    }
    Ok(())
}

/// Removes the extended attributes that an existing directory has and the
/// entry does not: they came from a layer below or an earlier entry.
pub(super) fn drop_stale_xattrs(node: Node<'_>, entry: &Entry) -> Result<(), Error> {
    let path = path_of(node);
    for key in list(&path).map_err(Error::file("list extended attributes of", &entry.path))? {
        if is_wanted(&key) && !entry.xattrs.contains_key(&key) {
            match rustix::fs::lremovexattr(path.as_slice(), key.as_slice()) {
                Ok(()) | Err(Errno::NODATA) => {}
                Err(errno) => {
                    return Err(Error::file("remove extended attribute of", &entry.path)(
                        errno,
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The time of anything, a symbolic link itself included.
pub(crate) fn set_time(node: Node<'_>, mtime: Timestamp) -> Result<(), Errno> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(node.parent, node.name, &times(mtime), nofollow)
}

/// The default permissions for new files in a directory, once it has all of them.
pub(crate) fn set_default_acl(directory: impl AsFd, value: &[u8]) -> Result<(), Errno> {
    let set = rustix::fs::fsetxattr(directory, DEFAULT_ACL, value, XattrFlags::empty());
    tolerate(set, DEFAULT_ACL)
}

/// Opens a directory without following a link.
pub(super) fn open_directory(node: Node<'_>) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(node.parent, node.name, flags, Mode::empty()).map(File::from)
}

/// A path for the calls that take no directory handle.
pub(crate) fn path_of(node: Node<'_>) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", node.parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(node.name);
    path
}

/// The names of all extended attributes, without following a link.
pub(crate) fn list(path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = [0u8; 1024];
    let bytes = match rustix::fs::llistxattr(path, &mut buffer) {
        Ok(length) => buffer[..length].to_vec(),
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {
            // The kernel's bound of a list.
            let mut large = vec![0u8; 64 << 10];
            let length = rustix::fs::llistxattr(path, &mut large)?;
            large.truncate(length);
            large
        }
        Err(errno) => return Err(errno),
    };
    let names = bytes.split(|byte| *byte == 0);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

fn wanted(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> impl Iterator<Item = (&[u8], &[u8])> {
    xattrs
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()))
        .filter(|(key, _)| is_wanted(key))
}

/// An attribute that this file system or this kind of file cannot have is left
/// out, as Docker does; whatever else fails is an error.
pub(crate) fn tolerate(result: Result<(), Errno>, key: &[u8]) -> Result<(), Errno> {
    match result {
        Err(Errno::OPNOTSUPP) => Ok(()),
        Err(Errno::PERM) if key.starts_with(b"user.") => Ok(()),
        other => other,
    }
}

fn uid(entry: &Entry) -> Uid {
    Uid::from_raw(entry.uid)
}

fn gid(entry: &Entry) -> Gid {
    Gid::from_raw(entry.gid)
}

/// Both times are that of the change: an archive has no better one.
fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
