//! What lies below the upper directory of an overlay: its lower layers, looked up
//! without mounting them. Only the directories on the way are opened.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::walk::Found;
use crate::apply::{Node, OPAQUE_XATTR, path_of};
use crate::error::Error;
use crate::root;

/// The lower layers, seen from one directory after the other.
pub(super) struct Below {
    /// The directories from the root to the one looked at last, with each layer's
    /// part of it, topmost first.
    levels: Vec<(Vec<u8>, Vec<OwnedFd>)>,
}

/// Something of the lower layers.
pub(super) struct Lower<'b> {
    pub(super) parent: BorrowedFd<'b>,
    pub(super) stat: Stat,
}

impl Below {
    /// The layers by their top directories, topmost first.
    pub(super) fn new(layers: &[impl AsFd]) -> Result<Self, Error> {
        let mut tops = Vec::with_capacity(layers.len());
        for layer in layers {
            let top = open(layer.as_fd(), b".").map_err(Error::file("open a layer", b"/"))?;
            let opaque = is_opaque(layer.as_fd(), b".");
            tops.push(top);
            if opaque.map_err(Error::file("look at a layer", b"/"))? {
                break;
            }
        }
        Ok(Self {
            levels: vec![(Vec::new(), tops)],
        })
    }

    /// What the layers have at `path`, if anything.
    pub(super) fn look(&mut self, path: &[u8]) -> Result<Option<Lower<'_>>, Error> {
        let (parent, name) = root::split(path);
        let parts = self.enter(parent)?;
        for part in parts {
            match rustix::fs::statat(part, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if is_whiteout(&stat) => return Ok(None),
                Ok(stat) => {
                    let parent = part.as_fd();
                    return Ok(Some(Lower { parent, stat }));
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::file("look up", path)(errno)),
            }
        }
        Ok(None)
    }

    /// All names that the layers have in a directory.
    pub(super) fn names(&mut self, directory: &[u8]) -> Result<BTreeSet<Vec<u8>>, Error> {
        let parts = self.enter(directory)?;
        let (mut names, mut hidden) = (BTreeSet::new(), BTreeSet::new());
        for part in parts {
            for name in root::names(part.as_fd(), b".")? {
                if names.contains(&name) || hidden.contains(&name) {
                    continue;
                }
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                match rustix::fs::statat(part, name.as_slice(), flags) {
                    Ok(stat) if is_whiteout(&stat) => hidden.insert(name),
                    _ => names.insert(name),
                };
            }
        }
        Ok(names)
    }

    /// Each layer's part of a directory; none when no layer has one there.
    fn enter(&mut self, path: &[u8]) -> Result<&[OwnedFd], Error> {
        while let Some((last, _)) = self.levels.last() {
            let within = last.is_empty()
                || path == last.as_slice()
                || (path.starts_with(last) && path.get(last.len()) == Some(&b'/'));
            if within || self.levels.len() == 1 {
                break;
            }
            self.levels.pop();
        }
        loop {
            let (last, parts) = self.levels.last().expect("the root's level stays");
            let rest = &path[last.len()..];
            let rest = rest.strip_prefix(b"/").unwrap_or(rest);
            if rest.is_empty() {
                break;
            }
            let name = rest.split(|byte| *byte == b'/').next().unwrap_or(rest);
            let next = root::join(last, name);
            let inside = merged(parts, name).map_err(Error::file("open", &next))?;
            self.levels.push((next, inside));
        }
        let (_, parts) = self.levels.last().expect("the root's level stays");
        Ok(parts)
    }
}

/// The parts of a directory in the parts of the one that it is in.
fn merged(parts: &[OwnedFd], name: &[u8]) -> Result<Vec<OwnedFd>, Errno> {
    let mut inside = Vec::new();
    for part in parts {
        match rustix::fs::statat(part, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                inside.push(open(part.as_fd(), name)?);
                if is_opaque(part.as_fd(), name)? {
                    break;
                }
            }
            // A whiteout, or a file in its place: what is below it is hidden.
            Ok(_) => break,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(inside)
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Whether a directory hides what is below it.
pub(super) fn is_opaque(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    let mut value = [0u8; 4];
    let path = path_of(Node { parent, name });
    match rustix::fs::lgetxattr(path.as_slice(), OPAQUE_XATTR, &mut value) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether it is overlayfs' mark of a hidden name.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether something has changed, as Docker sees it: a time without parts of a second
/// equals one with them, since archives keep none; a directory's time and size say
/// nothing.
pub(super) fn differs(before: &Lower<'_>, name: &[u8], now: &Found<'_>) -> Result<bool, Error> {
    let (old, new) = (&before.stat, &now.stat);
    let directory = FileType::from_raw_mode(new.st_mode) == FileType::Directory;
    let same_time = old.st_mtime == new.st_mtime
        && (old.st_mtime_nsec == new.st_mtime_nsec
            || old.st_mtime_nsec == 0
            || new.st_mtime_nsec == 0);
    if old.st_mode != new.st_mode
        || old.st_uid != new.st_uid
        || old.st_gid != new.st_gid
        || old.st_rdev != new.st_rdev
        || (!directory && (!same_time || old.st_size != new.st_size))
    {
        return Ok(true);
    }
    let capability = |parent, name| {
        let mut value = [0u8; 64];
        let path = path_of(Node { parent, name });
        match rustix::fs::lgetxattr(path.as_slice(), "security.capability", &mut value) {
            Ok(length) => Ok(value[..length].to_vec()),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(Vec::new()),
            Err(errno) => Err(Error::file("look at", &now.path)(errno)),
        }
    };
    Ok(capability(before.parent, name)? != capability(now.parent, now.name())?)
}
