//! A walk over a tree in the order of names, without holding it in memory and
//! without more than [`OPEN`] directories open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::error::Error;
use crate::root;
use crate::tar::LONGEST_NAME;

/// How many directories stay open; those further up are opened again when the
/// walk comes back to them.
const OPEN: usize = 64;

/// Something in the tree.
pub(crate) struct Found<'w> {
    /// Its name below the root, without a leading slash; empty for the root.
    pub(crate) path: Vec<u8>,
    /// The directory it is in.
    pub(crate) parent: BorrowedFd<'w>,
    pub(crate) stat: Stat,
}

impl<'w> Found<'w> {
    /// The top directory itself.
    pub(crate) fn top(root: BorrowedFd<'w>) -> Result<Self, Error> {
        let stat =
            rustix::fs::statat(root, ".", AtFlags::empty()).map_err(Error::file("stat", b"/"))?;
        Ok(Self {
            path: Vec::new(),
            parent: root,
            stat,
        })
    }

    pub(crate) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }

    pub(crate) fn is_socket(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Socket
    }

    /// Its name in the directory.
    pub(crate) fn name(&self) -> &[u8] {
        match root::split(&self.path).1 {
            b"" => b".",
            name => name,
        }
    }
}

/// A directory on the way from the root.
struct Level {
    path: Vec<u8>,
    directory: Option<OwnedFd>,
    /// Last first.
    names: Vec<Vec<u8>>,
}

/// The walk.
pub(crate) struct Walk<'r> {
    root: BorrowedFd<'r>,
    levels: Vec<Level>,
    /// The directory that was found last, to be entered next.
    enter: Option<Vec<u8>>,
}

impl<'r> Walk<'r> {
    pub(crate) fn new(root: BorrowedFd<'r>) -> Result<Self, Error> {
        Ok(Self {
            root,
            levels: Vec::new(),
            enter: Some(Vec::new()),
        })
    }

    /// The next thing below the root; a directory comes before its contents.
    /// What vanishes meanwhile is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Found<'_>>, Error> {
        if let Some(path) = self.enter.take() {
            self.push(path)?;
        }
        let (path, stat) = loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            match level.names.pop() {
                Some(name) => {
                    if let Some(found) = self.look(&name)? {
                        break found;
                    }
                }
                None => drop(self.levels.pop()),
            }
        };
        let directory = self
            .levels
            .last()
            .and_then(|level| level.directory.as_ref());
        Ok(directory.map(|directory| Found {
            path,
            parent: directory.as_fd(),
            stat,
        }))
    }

    /// The directory that was found last is not entered.
    pub(crate) fn pass_by(&mut self) {
        self.enter = None;
    }

    /// Path and properties of `name` in the innermost directory, which is open
    /// afterwards.
    fn look(&mut self, name: &[u8]) -> Result<Option<(Vec<u8>, Stat)>, Error> {
        let root = self.root;
        let Some(level) = self.levels.last_mut() else {
            return Ok(None);
        };
        let path = root::join(&level.path, name);
        if path.len() > LONGEST_NAME {
            return Err(Error::refused(&path, "the name is too long for an archive"));
        }
        let directory = match level.directory.take() {
            Some(directory) => directory,
            None => match open(root, &level.path) {
                Ok(directory) => directory,
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(Error::file("open", &level.path)(errno)),
            },
        };
        let parent = level.directory.insert(directory);
        let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::file("stat", &path)(errno)),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.enter = Some(path.clone());
        }
        Ok(Some((path, stat)))
    }

    fn push(&mut self, path: Vec<u8>) -> Result<(), Error> {
        let directory = match open(self.root, &path) {
            Ok(directory) => directory,
            Err(Errno::NOENT) if !path.is_empty() => return Ok(()),
            Err(errno) => return Err(Error::file("open", &path)(errno)),
        };
        let mut names =
            root::names(directory.as_fd(), b".").map_err(|error| rename(error, &path))?;
        names.reverse();
        self.levels.push(Level {
            path,
            directory: Some(directory),
            names,
        });
        if let Some(far) = self.levels.len().checked_sub(OPEN + 1) {
            self.levels[far].directory = None;
        }
        Ok(())
    }
}

/// Names the directory by its path below the root instead of ".".
fn rename(error: Error, path: &[u8]) -> Error {
    match error {
        Error::File {
            operation, source, ..
        } => Error::file(operation, path)(source),
        other => other,
    }
}

/// Opens a directory by its name in another; no link is followed.
pub(crate) fn enter(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn open(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let name = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(root, name, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}
