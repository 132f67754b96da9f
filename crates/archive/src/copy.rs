//! Whole trees copied and measured.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::apply::{ApplyOptions, Extractor, Whiteouts};
use crate::error::Error;
use crate::pack::entry::{describe, make_hard_link};
use crate::pack::holes;
use crate::pack::walk::{Found, Walk};
use crate::tar::{Entry, Extent, Kind};

/// Copies everything below `source`, and the attributes of `source` itself,
/// into the empty directory `target`: hard links stay hard links, holes stay
/// holes, and blocks are shared where the file system can. Sockets are left
/// out.
///
/// # Errors
/// `File`, naming the file.
pub fn copy_tree(source: impl AsFd, target: impl AsFd) -> Result<(), Error> {
    let mut options = ApplyOptions::new(Whiteouts::Literal);
    options.max_entries = u64::MAX;
    let mut extractor = Extractor::new(target.as_fd(), &options)?;
    let top = describe(&Found::top(source.as_fd())?)?;
    extractor.apply(&top, |_| Ok(()))?;
    let mut links: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    let mut walk = Walk::new(source.as_fd())?;
    while let Some(found) = walk.next()? {
        let kind = FileType::from_raw_mode(found.stat.st_mode);
        if kind == FileType::Socket {
            continue;
        }
        let mut entry = describe(&found)?;
        if kind != FileType::Directory && found.stat.st_nlink > 1 {
            let inode = (found.stat.st_dev, found.stat.st_ino);
            match links.get(&inode) {
                Some(first) => make_hard_link(&mut entry, first),
                None => drop(links.insert(inode, found.path.clone())),
            }
        }
        match entry.kind {
            Kind::File => {
                let file = open(&found)?;
                extractor.apply(&entry, |copy| copy_file(&file, copy, &entry))?;
            }
            _ => extractor.apply(&entry, |_| Ok(()))?,
        }
    }
    extractor.finish()
}

fn open(found: &Found<'_>) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(found.parent, found.name(), flags, Mode::empty())
        .map(File::from)
        .map_err(Error::file("open", &found.path))
}

fn copy_file(source: &File, copy: &File, entry: &Entry) -> Result<(), Error> {
    let name = &entry.path;
    // EOPNOTSUPP, EXDEV, EINVAL, ENOTTY …: whatever the reason, copy then.
    if rustix::fs::ioctl_ficlone(copy, source).is_ok() {
        return Ok(());
    }
    rustix::fs::ftruncate(copy, entry.size).map_err(Error::file("set size of", name))?;
    let extents = holes::extents(source, entry.size).map_err(Error::file("read", name))?;
    let whole = [Extent {
        offset: 0,
        length: entry.size,
    }];
    for extent in extents.as_deref().unwrap_or(&whole) {
        copy_extent(source, copy, *extent).map_err(Error::file("copy", name))?;
    }
    Ok(())
}

fn copy_extent(source: &File, copy: &File, extent: Extent) -> io::Result<()> {
    let (mut from, mut to) = (extent.offset, extent.offset);
    let mut left = extent.length;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, Some(&mut from), copy, Some(&mut to), count) {
            // The file shrank: the rest stays a hole.
            Ok(0) => break,
            Ok(count) => left -= count as u64,
            Err(Errno::INTR) => {}
            Err(_) => return copy_by_hand(source, copy, from, left),
        }
    }
    Ok(())
}

/// For file systems that cannot copy by themselves.
fn copy_by_hand(source: &File, copy: &File, mut offset: u64, mut left: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0; 128 << 10];
    while left > 0 {
        let want = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = source.read_at(&mut buffer[..want], offset)?;
        if count == 0 {
            break;
        }
        copy.write_all_at(&buffer[..count], offset)?;
        offset += count as u64;
        left -= count as u64;
    }
    Ok(())
}

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
