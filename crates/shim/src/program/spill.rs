//! Where output waits for a slow client: a file without a name, used as a ring.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What may wait before the process has to.
pub(super) const LIMIT: u64 = 64 << 20;
/// Size of the ring: what was read already, or is in a pipe when the process
/// ends, has a place beyond the limit.
const SIZE: u64 = LIMIT + (4 << 20);
/// The last word has a place when the ring is full.
const RESERVED: u64 = 1 << 10;
/// A file that has grown beyond this is given back when it is empty.
const KEPT: u64 = 1 << 20;

/// The most that is kept in memory because the disk is full.
const TAIL: usize = 1 << 20;

/// Bytes in the order in which they came. Offsets only grow; the place in the
/// file is what remains of them.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    start: u64,
    end: u64,
    /// What came after the file could not grow any more.
    tail: Vec<u8>,
}

impl Spill {
    /// An empty one, in the file system of `directory`.
    pub(super) fn make(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = match rustix::fs::open(directory, flags | OFlags::TMPFILE, mode) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => {
                let path = directory.join(format!(".spill-{}", std::process::id()));
                let fd = rustix::fs::open(&path, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
                // If it keeps its name, it goes with the directory.
                let _ = rustix::fs::unlink(&path);
                fd
            }
            other => other?,
        };
        Ok(Self {
            file: File::from(fd),
            start: 0,
            end: 0,
            tail: Vec::new(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end && self.tail.is_empty()
    }

    /// An empty one that is cheap to keep for the next time; else `None`.
    pub(super) fn kept(mut self) -> Option<Self> {
        let cheap = self.is_empty() && self.end <= KEPT;
        self.start = 0;
        self.end = 0;
        cheap.then_some(self)
    }

    /// Whether the process should wait.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start >= LIMIT || !self.tail.is_empty()
    }

    /// Appends both or, if there is no room for them, nothing.
    pub(super) fn push(&mut self, first: &[u8], second: &[u8]) -> bool {
        let length = first.len() + second.len();
        if self.end - self.start + length as u64 + RESERVED > SIZE
            || self.tail.len() + length > TAIL
        {
            return false;
        }
        self.push_last(first, second);
        true
    }

    /// Appends the last word, for which there is always room.
    pub(super) fn push_last(&mut self, first: &[u8], second: &[u8]) {
        // A write that fails leaves nothing that would be read.
        if !self.tail.is_empty() || self.append(first, second).is_err() {
            self.tail.extend_from_slice(first);
            self.tail.extend_from_slice(second);
        }
    }

    fn append(&mut self, first: &[u8], second: &[u8]) -> io::Result<()> {
        let middle = self.end + first.len() as u64;
        self.write_at(first, self.end)?;
        self.write_at(second, middle)?;
        self.end = middle + second.len() as u64;
        Ok(())
    }

    /// Moves up to `count` bytes of the file into `buffer`, or else the rest.
    pub(super) fn pull(&mut self, buffer: &mut Vec<u8>, count: usize) -> io::Result<()> {
        if self.start == self.end {
            buffer.append(&mut self.tail);
            return Ok(());
        }
        let count = (self.end - self.start).min(count as u64);
        let (at, filled) = (self.start % SIZE, buffer.len());
        buffer.resize(filled + count as usize, 0);
        let (first, second) = buffer[filled..].split_at_mut(count.min(SIZE - at) as usize);
        self.file.read_exact_at(first, at)?;
        self.file.read_exact_at(second, 0)?;
        self.start += count;
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = offset % SIZE;
        let (first, second) = bytes.split_at((bytes.len() as u64).min(SIZE - at) as usize);
        self.file.write_all_at(first, at)?;
        self.file.write_all_at(second, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_order_around_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::make(dir.path()).unwrap();
        spill.start = SIZE - 10;
        spill.end = SIZE - 10;
        assert!(spill.push(b"0123", b"456789abcdef"));
        let mut bytes = Vec::new();
        spill.pull(&mut bytes, 3).unwrap();
        spill.pull(&mut bytes, 100).unwrap();
        assert_eq!(bytes, b"0123456789abcdef");
        spill.pull(&mut bytes, 100).unwrap();
        assert_eq!(bytes.len(), 16);
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::make(dir.path()).unwrap();
        assert!(spill.push(b"12", b"34"));
        let file = std::mem::replace(&mut spill.file, File::open("/dev/null").unwrap());
        assert!(spill.push(b"56", b"78"));
        assert!(spill.is_full());
        spill.file = file;
        assert!(spill.push(b"9", b""));
        let mut bytes = Vec::new();
        while !spill.is_empty() {
            spill.pull(&mut bytes, 3).unwrap();
        }
        assert_eq!(bytes, b"123456789");
        assert!(!spill.is_full());
    }

    #[test]
    fn a_full_one_takes_only_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::make(dir.path()).unwrap();
        spill.end = SIZE - RESERVED;
        assert!(spill.is_full());
        assert!(!spill.push(b"x", b""));
        spill.push_last(b"end", b"");
        assert_eq!(spill.end - spill.start, SIZE - RESERVED + 3);
    }
}
