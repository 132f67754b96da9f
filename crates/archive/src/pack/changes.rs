//! What differs between two trees, as a list and as a layer.
//!
//! A file is taken for unchanged when its properties are the same, size and
//! time included; contents are not compared (Docker does the same).

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::mirror::{Copies, Mirror};
use super::walk::{Found, Walk};
use super::{Hashed, PackOptions, Packed, Packer, entry, finish};
use crate::apply::Whiteouts;
use crate::error::Error;
use crate::root;
use crate::tar::{Entry, Kind};

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is in both trees and differs, or is a directory above a change.
    Modified,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Change {
    /// The name below the root, without a leading slash.
    pub path: Vec<u8>,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// All that differs between the tree `base` and its later state `tree`, sorted
/// by name. What is below a deleted directory is not listed; what `ignore` knows is
/// left out when it is new.
///
/// # Errors
/// `File` when a tree cannot be read.
pub fn changes(
    base: impl AsFd,
    tree: impl AsFd,
    ignore: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<Change>, Error> {
    let base = base.as_fd();
    let mut found = HashMap::new();
    deletions(base, tree.as_fd(), b"", &mut found)?;
    let mut walk = Walk::new(tree.as_fd())?;
    while let Some(now) = walk.next()? {
        let kind = FileType::from_raw_mode(now.stat.st_mode);
        if kind == FileType::Socket {
            continue;
        }
        let before = lookup(base, &now.path)?;
        let change = match &before {
            None => (!ignore(&now.path)).then_some(ChangeKind::Added),
            Some(before) if differs(&before.found(), &now)? => Some(ChangeKind::Modified),
            Some(_) => None,
        };
        if let Some(change) = change {
            note(&mut found, &now.path, change);
        }
        let both = before.is_some_and(|before| is_directory(before.stat.st_mode));
        if both && kind == FileType::Directory {
            deletions(base, tree.as_fd(), &now.path, &mut found)?;
        }
    }
    let mut changes: Vec<_> = found
        .into_iter()
        .map(|(path, kind)| Change { path, kind })
        .collect();
    changes.sort_unstable();
    Ok(changes)
}

/// Writes what differs between `base` and `tree` as a layer: changed and new
/// files with the directories above them, whiteouts for what is gone.
///
/// # Errors
/// As [`super::pack`].
pub fn pack_changes(
    base: impl AsFd,
    tree: impl AsFd,
    writer: impl Write,
    options: &PackOptions,
    ignore: &dyn Fn(&[u8]) -> bool,
) -> Result<Packed, Error> {
    difference(base.as_fd(), tree.as_fd(), writer, options, ignore, None)
}

/// As [`pack_changes`], and applies the layer to a directory at the same time.
///
/// # Errors
/// As [`super::pack_mirrored`].
pub fn pack_changes_mirrored(
    base: impl AsFd,
    tree: impl AsFd,
    writer: impl Write,
    options: &PackOptions,
    ignore: &dyn Fn(&[u8]) -> bool,
    mirror: Mirror<'_>,
) -> Result<Packed, Error> {
    let (base, tree) = (base.as_fd(), tree.as_fd());
    mirror.with(|copies| difference(base, tree, writer, options, ignore, Some(copies)))
}

fn difference(
    base: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
    writer: impl Write,
    options: &PackOptions,
    ignore: &dyn Fn(&[u8]) -> bool,
    copies: Option<Copies>,
) -> Result<Packed, Error> {
    let mut options = options.clone();
    // The trees are whole ones; only their difference has whiteouts.
    options.whiteouts = Whiteouts::Remove;
    let (mut kept, mut gone) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
    for change in changes(base, tree, ignore)? {
        if change.kind == ChangeKind::Deleted {
            let (parent, _) = root::split(&change.path);
            gone.entry(parent.to_vec()).or_default().push(change.path);
        } else {
            kept.insert(change.path, change.kind);
        }
    }
    let mut packer = Packer::new(Hashed::new(writer), &options).with_copies(copies);
    if options.root_entry {
        packer.root_entry(tree)?;
    }
    let mut whiteouts = |packer: &mut Packer<'_, _>, directory: &[u8]| {
        let paths = gone.remove(directory).unwrap_or_default();
        paths.iter().try_for_each(|path| packer.whiteout(path))
    };
    whiteouts(&mut packer, b"")?;
    let mut walk = Walk::new(tree)?;
    while let Some(found) = walk.next()? {
        if kept.contains_key(&found.path) {
            packer.add(&found)?;
            whiteouts(&mut packer, &found.path)?;
        }
    }
    finish(packer)
}

/// Notes a change, and that the directories above it are changed by it.
pub(super) fn note(found: &mut HashMap<Vec<u8>, ChangeKind>, path: &[u8], kind: ChangeKind) {
    found.insert(path.to_vec(), kind);
    let mut above = root::split(path).0;
    while !above.is_empty() && !found.contains_key(above) {
        found.insert(above.to_vec(), ChangeKind::Modified);
        above = root::split(above).0;
    }
}

/// Notes what `base` has in a directory and `tree` has not.
fn deletions(
    base: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
    directory: &[u8],
    found: &mut HashMap<Vec<u8>, ChangeKind>,
) -> Result<(), Error> {
    let names = |root| match open(root, directory) {
        Ok(directory) => root::names(directory.as_fd(), b"."),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        Err(errno) => Err(Error::file("open", directory)(errno)),
    };
    let now = names(tree)?;
    for name in names(base)? {
        if now.binary_search(&name).is_err() {
            note(found, &root::join(directory, &name), ChangeKind::Deleted);
        }
    }
    Ok(())
}

/// Something in the base tree.
pub(crate) struct Before {
    path: Vec<u8>,
    parent: OwnedFd,
    stat: rustix::fs::Stat,
}

impl Before {
    pub(crate) fn found(&self) -> Found<'_> {
        Found {
            path: self.path.clone(),
            parent: self.parent.as_fd(),
            stat: self.stat,
        }
    }
}

pub(crate) fn lookup(base: BorrowedFd<'_>, path: &[u8]) -> Result<Option<Before>, Error> {
    let (parent, name) = root::split(path);
    let look = || {
        let parent = open(base, parent)?;
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Before {
            path: path.to_vec(),
            parent,
            stat,
        })
    };
    match look() {
        Ok(before) => Ok(Some(before)),
        // A part of the path is missing, a file, or a link.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(Error::file("look up", path)(errno)),
    }
}

fn open(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

fn is_directory(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::Directory
}

fn differs(before: &Found<'_>, now: &Found<'_>) -> Result<bool, Error> {
    if before.stat.st_mode != now.stat.st_mode {
        return Ok(true);
    }
    let (mut before, mut now) = (entry::describe(before)?, entry::describe(now)?);
    for entry in [&mut before, &mut now] {
        forget_incidentals(entry);
    }
    Ok(before != now)
}

/// A directory's time changes with its files, which are changes themselves.
fn forget_incidentals(entry: &mut Entry) {
    entry::take_overlay_xattrs(entry);
    if entry.kind == Kind::Directory {
        entry.mtime = crate::tar::Timestamp::default();
    }
}
