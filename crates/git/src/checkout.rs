//! A tree's files, written below a directory. Each name is made in the directory that was
//! opened for it, and nothing that is there before is opened: no link is followed.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use gantry_registry::Cancel;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use crate::commit::{self, Line, MAX_TREE, Sort};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::pack::{Kind, Pack, check};

/// How deep directories may be, how much may be in them, and how long a link is.
const MAX_DEPTH: usize = 256;
const MAX_FILES: u64 = 8 << 20;
const MAX_BYTES: u64 = 32 << 30;
const MAX_LINK: u64 = 4095;

/// A file, as the index of a working tree has it.
pub(crate) struct Indexed {
    pub(crate) path: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) id: ObjectId,
    pub(crate) size: u64,
}

/// A directory that is being written.
struct Level {
    lines: std::vec::IntoIter<Line>,
    directory: OwnedFd,
    /// Of its path.
    length: usize,
}

/// Writes trees.
pub(crate) struct Writer<'p> {
    pub(crate) pack: &'p mut Pack,
    pub(crate) cancel: &'p Cancel,
    /// When everything was changed, in seconds since 1970: as the commit says.
    pub(crate) time: i64,
    /// The commits of other repositories, and where they belong.
    pub(crate) submodules: Vec<(Vec<u8>, ObjectId)>,
    /// Every file, where that is wished.
    pub(crate) index: Option<Vec<Indexed>>,
    files: u64,
    bytes: u64,
}

impl<'p> Writer<'p> {
    pub(crate) fn new(pack: &'p mut Pack, cancel: &'p Cancel, time: i64) -> Self {
        Self {
            pack,
            cancel,
            time,
            submodules: Vec::new(),
            index: None,
            files: 0,
            bytes: 0,
        }
    }

    /// The tree of a directory in a tree.
    pub(crate) fn below(&mut self, tree: ObjectId, path: &str) -> Result<ObjectId> {
        let mut tree = tree;
        let mut reached = String::new();
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            reached = format!("{reached}/{part}");
            let text = self.pack.read(tree, Kind::Tree, MAX_TREE)?;
            let lines = commit::lines(&text)?;
            let found = lines.iter().find(|line| line.name == part.as_bytes());
            tree = match found {
                Some(line) if line.sort == Sort::Directory => line.id,
                Some(_) => {
                    let text = format!("subdir not directory {:?}", reached.trim_matches('/'));
                    return Err(Error::Invalid(text));
                }
                None => {
                    let text = format!("failed to open subdir {:?}", reached.trim_matches('/'));
                    return Err(Error::NotFound(format!(
                        "{text}: no such file or directory"
                    )));
                }
            };
        }
        Ok(tree)
    }

    /// A file at the top of a tree, if it is there.
    pub(crate) fn file(
        &mut self,
        tree: ObjectId,
        name: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>> {
        let text = self.pack.read(tree, Kind::Tree, MAX_TREE)?;
        let lines = commit::lines(&text)?;
        let found = lines
            .iter()
            .find(|line| line.name == name.as_bytes() && line.sort == Sort::File);
        match found {
            Some(line) => Ok(Some(self.pack.read(line.id, Kind::Blob, most)?.to_vec())),
            None => Ok(None),
        }
    }

    /// Writes a tree into an empty directory.
    pub(crate) fn tree(&mut self, tree: ObjectId, directory: BorrowedFd<'_>) -> Result<()> {
        let top = open_directory(directory, b".").map_err(|errno| io(errno, b"."))?;
        let mut path = Vec::new();
        let mut open = vec![self.level(tree, top, 0)?];
        loop {
            let depth = open.len();
            let Some(level) = open.last_mut() else {
                return Ok(());
            };
            path.truncate(level.length);
            let Some(line) = level.lines.next() else {
                let times = self.times();
                rustix::fs::futimens(&level.directory, &times).map_err(|errno| io(errno, &path))?;
                open.pop();
                continue;
            };
            check(self.cancel)?;
            self.files += 1;
            if self.files > MAX_FILES {
                return Err(Error::damaged("it has too many files"));
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&line.name);
            let parent = level.directory.as_fd();
            match line.sort {
                Sort::Directory if depth > MAX_DEPTH => {
                    return Err(Error::damaged("its directories are too deep"));
                }
                Sort::Directory => {
                    let made = make_directory(parent, &line.name);
                    let made = made.map_err(|errno| io(errno, &path))?;
                    open.push(self.level(line.id, made, path.len())?);
                }
                _ => self.line(&line, parent, &path)?,
            }
        }
    }

    fn level(&mut self, tree: ObjectId, directory: OwnedFd, length: usize) -> Result<Level> {
        let text = self.pack.read(tree, Kind::Tree, MAX_TREE)?;
        Ok(Level {
            lines: commit::lines(&text)?.into_iter(),
            directory,
            length,
        })
    }

    /// Writes what is no directory.
    fn line(&mut self, line: &Line, directory: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        let name = std::ffi::OsStr::from_bytes(&line.name);
        let failed = |errno| io(errno, path);
        let (mode, size) = match line.sort {
            Sort::Directory | Sort::Submodule => {
                make_directory(directory, &line.name).map_err(failed)?;
                self.submodules.push((path.to_vec(), line.id));
                (0o160_000, 0)
            }
            Sort::Link => {
                let target = self.pack.read(line.id, Kind::Blob, MAX_LINK)?;
                let to = std::ffi::OsStr::from_bytes(&target);
                rustix::fs::symlinkat(to, directory, name).map_err(failed)?;
                let (times, flags) = (self.times(), AtFlags::SYMLINK_NOFOLLOW);
                rustix::fs::utimensat(directory, name, &times, flags).map_err(failed)?;
                (0o120_000, target.len() as u64)
            }
            Sort::File => (0o100_644, self.blob(line, directory, path, 0o644)?),
            Sort::Program => (0o100_755, self.blob(line, directory, path, 0o755)?),
        };
        if let Some(index) = &mut self.index {
            index.push(Indexed {
                path: path.to_vec(),
                mode,
                id: line.id,
                size,
            });
        }
        Ok(())
    }

    /// Writes a file; how long it is.
    fn blob(
        &mut self,
        line: &Line,
        directory: BorrowedFd<'_>,
        path: &[u8],
        mode: u32,
    ) -> Result<u64> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = std::ffi::OsStr::from_bytes(&line.name);
        let opened = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600));
        let mut file = opened.map(File::from).map_err(|errno| io(errno, path))?;
        let (mut size, most) = (0, MAX_BYTES - self.bytes);
        self.pack.blob(line.id, &mut |piece| {
            size += piece.len() as u64;
            if size > most {
                return Err(Error::damaged("its files are too large"));
            }
            file.write_all(piece).map_err(|source| Error::Io {
                what: format!("writing {:?}", String::from_utf8_lossy(path)),
                source,
            })
        })?;
        self.bytes += size;
        let times = self.times();
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
            .and_then(|()| rustix::fs::futimens(&file, &times))
            .map_err(|errno| io(errno, path))?;
        Ok(size)
    }

    fn times(&self) -> Timestamps {
        let time = Timespec {
            tv_sec: self.time,
            tv_nsec: 0,
        };
        Timestamps {
            last_access: time,
            last_modification: time,
        }
    }
}

/// Makes a directory, and opens it.
pub(crate) fn make_directory(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let name = std::ffi::OsStr::from_bytes(name);
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    let made = open_directory(parent, name.as_bytes())?;
    rustix::fs::fchmod(&made, Mode::from_raw_mode(0o755))?;
    Ok(made)
}

/// Opens a directory, which is no link.
pub(crate) fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(
        parent,
        std::ffi::OsStr::from_bytes(name),
        flags,
        Mode::empty(),
    )
}

fn io(errno: rustix::io::Errno, path: &[u8]) -> Error {
    Error::Io {
        what: format!("writing {:?}", String::from_utf8_lossy(path)),
        source: errno.into(),
    }
}
