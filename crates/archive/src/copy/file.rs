//! A regular file that is copied: as few system calls as a small one needs.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use rustix::fs::{Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Shared;
use crate::apply::{is_wanted, tolerate};
use crate::error::Error;
use crate::pack::holes;
use crate::tar::Extent;

/// Files up to this size are read and written at once.
const SMALL: usize = 128 << 10;

/// The kernel's bound of a list of attributes, and of one of them.
const LONGEST: usize = 64 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A file to be copied.
pub(super) struct Source<'p> {
    pub(super) file: File,
    pub(super) stat: Stat,
    /// Below the root, for errors.
    pub(super) path: &'p [u8],
}

impl Source<'_> {
    /// Makes it anew in the directory `to`. `inherits`: that gives its group to files.
    pub(super) fn copy_to(
        &self,
        to: BorrowedFd<'_>,
        name: &[u8],
        inherits: bool,
        shared: &Shared<'_>,
    ) -> Result<(), Error> {
        let mode = self.stat.st_mode & 0o7777;
        let owner = (self.stat.st_uid, self.stat.st_gid);
        let given_away = inherits || owner != shared.owner;
        // Nobody else gets in while it is still ours.
        let first = match given_away {
            true => mode & 0o700,
            false => mode & 0o777,
        };
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let copy = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(first))
            .map(File::from)
            .map_err(Error::file("create", self.path))?;
        self.copy_contents(&copy, shared)
            .map_err(Error::file("copy", self.path))?;
        if given_away {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            rustix::fs::fchown(&copy, Some(uid), Some(gid))
                .map_err(Error::file("chown", self.path))?;
        }
        if given_away || first != mode || mode & shared.umask != 0 {
            rustix::fs::fchmod(&copy, Mode::from_raw_mode(mode))
                .map_err(Error::file("chmod", self.path))?;
        }
        self.copy_attributes(&copy)
            .map_err(Error::file("copy extended attributes of", self.path))?;
        let time = Timespec {
            tv_sec: self.stat.st_mtime,
            tv_nsec: i64::try_from(self.stat.st_mtime_nsec).unwrap_or(0),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(&copy, &times).map_err(Error::file("set time of", self.path))
    }

    fn copy_contents(&self, copy: &File, shared: &Shared<'_>) -> io::Result<()> {
        let size = u64::try_from(self.stat.st_size).unwrap_or(0);
        if size == 0 {
            return Ok(());
        }
        if shared.sharing.load(Ordering::Relaxed) {
            match rustix::fs::ioctl_ficlone(copy, &self.file) {
                Ok(()) => return Ok(()),
                // Neither can another file of this tree.
                Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::NOSYS) => {
                    shared.sharing.store(false, Ordering::Relaxed);
                }
                Err(_) => {}
            }
        }
        let on_disk = u64::try_from(self.stat.st_blocks).unwrap_or(0) * 512;
        if size <= SMALL as u64 && on_disk >= size {
            return self.copy_at_once(copy);
        }
        rustix::fs::ftruncate(copy, size)?;
        let extents = holes::extents(&self.file, size)?;
        let whole = [Extent {
            offset: 0,
            length: size,
        }];
        let mut extents = extents.as_deref().unwrap_or(&whole).iter();
        extents.try_for_each(|extent| copy_extent(&self.file, copy, *extent))
    }

    fn copy_at_once(&self, copy: &File) -> io::Result<()> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(SMALL, 0);
            let mut offset = 0;
            loop {
                let count = match self.file.read_at(buffer, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read?,
                };
                copy.write_all_at(&buffer[..count], offset)?;
                offset += count as u64;
                // What grows while it is copied has no end.
                if count == 0 || offset >= u64::try_from(self.stat.st_size).unwrap_or(0) {
                    return Ok(());
                }
            }
        })
    }

    fn copy_attributes(&self, copy: &File) -> io::Result<()> {
        let mut names = [0u8; 256];
        let names = match rustix::fs::flistxattr(&self.file, &mut names) {
            Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(()),
            Ok(length) => names[..length].to_vec(),
            Err(Errno::RANGE) => {
                let mut large = vec![0u8; LONGEST];
                let length = rustix::fs::flistxattr(&self.file, &mut large)?;
                large.truncate(length);
                large
            }
            Err(errno) => return Err(errno.into()),
        };
        let mut value = vec![0u8; LONGEST];
        for key in names.split(|byte| *byte == 0) {
            if key.is_empty() || !is_wanted(key) {
                continue;
            }
            match rustix::fs::fgetxattr(&self.file, key, &mut value) {
                Ok(length) => {
                    let set =
                        rustix::fs::fsetxattr(copy, key, &value[..length], XattrFlags::empty());
                    tolerate(set, key)?;
                }
                Err(Errno::NODATA) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

pub(crate) fn copy_extent(source: &File, copy: &File, extent: Extent) -> io::Result<()> {
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
    let mut buffer = vec![0; SMALL];
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
