//! One cgroup directory in one hierarchy: reading and writing its files.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};

/// Longest file that is read; `memory.stat` has some kilobytes, a large
/// machine's `cgroup.procs` or `blkio` files much more.
const READ_LIMIT: u64 = 16 << 20;

/// Most files are shorter than this.
const USUAL: usize = 512;

/// A cgroup directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

impl Directory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// Writes in one write(2), as cgroup files demand.
    pub(crate) fn write(&self, name: &str, value: &str) -> Result<()> {
        self.write_each(name, std::iter::once(value))
    }

    /// Writes several values to one file, each in a write(2) of its own.
    pub(crate) fn write_each<V: AsRef<str>>(
        &self,
        name: &str,
        values: impl Iterator<Item = V>,
    ) -> Result<()> {
        let path = self.file(name);
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|source| Error::io("open", &path, source))?;
        for value in values {
            let value = value.as_ref();
            file.write_all(value.as_bytes())
                .map_err(|source| Error::Write {
                    path: path.clone(),
                    value: value.chars().take(100).collect(),
                    source,
                })?;
        }
        Ok(())
    }

    pub(crate) fn open(&self, name: &str, flags: OFlags) -> Result<OwnedFd> {
        let path = self.file(name);
        rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::io("open", &path, errno.into()))
    }

    pub(crate) fn write_number(&self, name: &str, value: impl ToString) -> Result<()> {
        self.write(name, &value.to_string())
    }

    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let path = self.file(name);
        let mut text = Vec::with_capacity(USUAL);
        fs::File::open(&path)
            .and_then(|file| file.take(READ_LIMIT).read_to_end(&mut text))
            .map_err(|source| Error::io("read", &path, source))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// A number, or `None` when the file is missing or holds something else.
    /// `max` and v1's "almost 2^63" read as `u64::MAX`.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        parse_number(&self.read(name).ok()?)
    }

    /// The value of `key` in a file of `key value` lines.
    pub(crate) fn keyed(&self, name: &str, key: &str) -> Option<u64> {
        let text = self.read(name).ok()?;
        keyed_lines(&text).find_map(|(found, value)| (found == key).then_some(value))
    }

    /// Makes this directory and those above it up to `root`, which exists.
    /// `prepare` is called for each directory that was made, with its parent.
    pub(crate) fn make_below(
        root: &Path,
        relative: &str,
        prepare: impl Fn(&Directory, &Directory) -> Result<()>,
    ) -> Result<Self> {
        let mut parent = Self::new(root.to_owned());
        for name in relative.split('/').filter(|name| !name.is_empty()) {
            let child = Self::new(parent.path.join(name));
            match fs::create_dir(&child.path) {
                Ok(()) => prepare(&child, &parent)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::io("mkdir", &child.path, source)),
            }
            parent = child;
        }
        Ok(parent)
    }
}

/// Parses the number in a cgroup file.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text == "max" {
        return Some(u64::MAX);
    }
    let value: u64 = text.parse().ok()?;
    // v1 rounds "unlimited" down to a multiple of the page size.
    Some(if value > i64::MAX as u64 - 65536 {
        u64::MAX
    } else {
        value
    })
}

/// The pairs of a file of `key value` lines.
pub(crate) fn keyed_lines(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlimited_is_the_largest_number() {
        assert_eq!(parse_number("max\n"), Some(u64::MAX));
        assert_eq!(parse_number("9223372036854771712\n"), Some(u64::MAX));
        assert_eq!(parse_number("4096\n"), Some(4096));
        assert_eq!(parse_number(""), None);
    }

    #[test]
    fn lines_without_a_number_are_skipped() {
        let pairs: Vec<_> = keyed_lines("a 1\nb\nc x\nd 4\n").collect();
        assert_eq!(pairs, [("a", 1), ("d", 4)]);
    }
}
