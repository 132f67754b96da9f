//! How much a tree is: its bytes, its nodes, and what it takes on the disk.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::Error;
use crate::pack::walk::Walk;

/// How much a tree is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// Sum of the sizes of all that is no directory, files with many names
    /// counted once.
    pub bytes: u64,
    /// Number of files, directories and other nodes, the top included.
    pub inodes: u64,
    /// Bytes of the blocks that all this takes on the disk, the top included, as
    /// `du` counts them.
    pub disk: u64,
}

/// Measures everything below `root`. The tree may change meanwhile.
///
/// # Errors
/// `File` when the tree cannot be read.
pub fn measure(root: impl AsFd) -> Result<Measure, Error> {
    let top = rustix::fs::fstat(root.as_fd()).map_err(Error::file("stat", b"/"))?;
    let mut total = Measure {
        bytes: 0,
        inodes: 1,
        disk: blocks(&top),
    };
    let mut seen = HashSet::new();
    let mut walk = Walk::new(root.as_fd())?;
    while let Some(found) = walk.next()? {
        let directory = FileType::from_raw_mode(found.stat.st_mode) == FileType::Directory;
        let inode = (found.stat.st_dev, found.stat.st_ino);
        if !directory && found.stat.st_nlink > 1 && !seen.insert(inode) {
            continue;
        }
        total.inodes += 1;
        total.disk += blocks(&found.stat);
        if !directory {
            total.bytes += u64::try_from(found.stat.st_size).unwrap_or(0);
        }
    }
    Ok(total)
}

/// Bytes that a file, or a directory with all below it, takes on the disk, as `du`
/// counts them. What is not there takes none.
///
/// # Errors
/// When it cannot be read.
pub fn disk_usage(path: &Path) -> io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(directory) => Ok(measure(directory).map_err(io::Error::other)?.disk),
        Err(Errno::NOENT) => Ok(0),
        Err(Errno::NOTDIR | Errno::LOOP) => match rustix::fs::lstat(path) {
            Ok(stat) => Ok(blocks(&stat)),
            Err(Errno::NOENT) => Ok(0),
            Err(errno) => Err(errno.into()),
        },
        Err(errno) => Err(errno.into()),
    }
}

fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}
