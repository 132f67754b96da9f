//! A directory that is copied, in pieces that need not wait for each other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Shared, file};
use crate::apply::{DEFAULT_ACL, Node, set_default_acl, set_on_node, set_time};
use crate::error::Error;
use crate::pack::entry::describe;
use crate::pack::walk::Found;
use crate::root;
use crate::tar::{Entry, Kind};

/// How many names make a piece.
const PIECE: usize = 256;

/// `S_ISGID`: new files get the group of the directory.
const SET_GROUP: u32 = 0o2000;

/// A directory on both sides.
struct Directory {
    from: OwnedFd,
    to: OwnedFd,
    /// Below the root; empty for the root.
    path: Vec<u8>,
    /// Whether new files have another group than the process.
    inherits: bool,
    /// Pieces that are not done.
    left: AtomicUsize,
}

/// Some of the names in a directory.
pub(super) struct Piece {
    directory: Arc<Directory>,
    names: Vec<(Vec<u8>, FileType)>,
}

/// The pieces of the top directory.
pub(super) fn top(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<Vec<Piece>, Error> {
    pieces(
        open(source, b".", b"")?,
        open(target, b".", b"")?,
        Vec::new(),
    )
}

fn open(parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(Error::file("open", path))
}

fn pieces(from: OwnedFd, to: OwnedFd, path: Vec<u8>) -> Result<Vec<Piece>, Error> {
    let names = names(&from).map_err(Error::file("read directory", &path))?;
    let made = rustix::fs::fstat(&to).map_err(Error::file("stat", &path))?;
    let directory = Arc::new(Directory {
        from,
        to,
        path,
        inherits: made.st_mode & SET_GROUP != 0,
        left: AtomicUsize::new(names.len().div_ceil(PIECE).max(1)),
    });
    let piece = |names: &[(Vec<u8>, FileType)]| Piece {
        directory: Arc::clone(&directory),
        names: names.to_vec(),
    };
    match names.is_empty() {
        true => Ok(vec![piece(&[])]),
        false => Ok(names.chunks(PIECE).map(piece).collect()),
    }
}

fn names(directory: &OwnedFd) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    // By number, as they lie on the disk, would be read faster; but this is the order
    // in which the same tree is always the same.
    names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(names)
}

impl Piece {
    /// Copies it. Answers the pieces of the directories that are among it.
    pub(super) fn copy(self, shared: &Shared<'_>) -> Result<Vec<Piece>, Error> {
        let mut below = Vec::new();
        for (name, kind) in &self.names {
            let new = self.directory.copy(name, *kind, shared)?;
            below.extend(new);
        }
        if self.directory.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.directory.finish()?;
        }
        Ok(below)
    }
}

impl Directory {
    fn copy(&self, name: &[u8], kind: FileType, shared: &Shared<'_>) -> Result<Vec<Piece>, Error> {
        let path = root::join(&self.path, name);
        if kind == FileType::RegularFile {
            return self.copy_file(name, &path, shared).map(|()| Vec::new());
        }
        let look = rustix::fs::statat(&self.from, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = match look {
            Err(Errno::NOENT) => return Ok(Vec::new()),
            look => look.map_err(Error::file("stat", &path))?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let from = open(self.from.as_fd(), name, &path)?;
                rustix::fs::mkdirat(&self.to, name, Mode::RWXU)
                    .map_err(Error::file("mkdir", &path))?;
                let to = open(self.to.as_fd(), name, &path)?;
                return pieces(from, to, path);
            }
            FileType::RegularFile => self.copy_file(name, &path, shared)?,
            FileType::Socket => {}
            _ => self.once(name, &path, &stat, shared, || self.copy_node(&path, stat))?,
        }
        Ok(Vec::new())
    }

    fn copy_file(&self, name: &[u8], path: &[u8], shared: &Shared<'_>) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = match rustix::fs::openat(&self.from, name, flags, Mode::empty()) {
            // Somebody has removed it meanwhile.
            Err(Errno::NOENT) => return Ok(()),
            opened => opened.map_err(Error::file("open", path))?,
        };
        let stat = rustix::fs::fstat(&source).map_err(Error::file("stat", path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::refused(path, "it changed while it was copied"));
        }
        self.once(name, path, &stat, shared, || {
            let source = file::Source {
                file: source.into(),
                stat,
                path,
            };
            source.copy_to(self.to.as_fd(), name, self.inherits, shared)
        })
    }

    /// Does `copy`, or makes another name of what it has done for another name.
    fn once(
        &self,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
        shared: &Shared<'_>,
        copy: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if stat.st_nlink < 2 {
            return copy();
        }
        let mut links = shared.links.lock().unwrap_or_else(PoisonError::into_inner);
        let inode = (stat.st_dev, stat.st_ino);
        let Some(first) = links.get(&inode) else {
            copy()?;
            links.insert(inode, path.to_vec());
            return Ok(());
        };
        let (parent, first) = root::split(first);
        let parent = root::open_below(shared.target, parent);
        let parent = parent.map_err(Error::file("open", path))?;
        rustix::fs::linkat(parent, first, &self.to, name, AtFlags::empty())
            .map_err(Error::file("link", path))
    }

    /// A symbolic link, a device or a pipe.
    fn copy_node(&self, path: &[u8], stat: Stat) -> Result<(), Error> {
        let entry = describe(&Found {
            path: path.to_vec(),
            parent: self.from.as_fd(),
            stat,
        })?;
        let node = Node {
            parent: self.to.as_fd(),
            name: root::split(path).1,
        };
        let made = match entry.kind {
            Kind::Symlink => rustix::fs::symlinkat(entry.link.as_slice(), &self.to, node.name),
            _ => rustix::fs::mknodat(
                &self.to,
                node.name,
                FileType::from_raw_mode(stat.st_mode),
                Mode::RUSR | Mode::WUSR,
                rustix::fs::makedev(entry.device.0, entry.device.1),
            ),
        };
        made.map_err(Error::file("make", path))?;
        set_on_node(node, &entry)?;
        set_time(node, entry.mtime).map_err(Error::file("set time of", path))
    }

    /// What can be said of the directory when all is in it.
    fn finish(&self) -> Result<(), Error> {
        let mut found = Found::top(self.from.as_fd())?;
        let mut entry: Entry = describe(&found)?;
        found.path.clone_from(&self.path);
        entry.path.clone_from(&self.path);
        let node = Node {
            parent: self.to.as_fd(),
            name: b".",
        };
        set_on_node(node, &entry)?;
        if let Some(acl) = entry.xattrs.get(DEFAULT_ACL) {
            set_default_acl(&self.to, acl)
                .map_err(Error::file("set permissions of", &self.path))?;
        }
        set_time(node, entry.mtime).map_err(Error::file("set time of", &self.path))
    }
}
