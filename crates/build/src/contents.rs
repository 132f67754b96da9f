//! What the files of a directory contain, kept from build to build: a directory that has
//! not changed need not be read again.
//!
//! ```text
//!  <directory>/<device>-<inode of the top>   one index for each directory built from
//!     ├─ heading: version, boot of the machine
//!     ├─ entries, sorted: device, inode, size, mtime, ctime, digest
//!     └─ digest of all that
//! ```
//!
//! Invariant: an entry is believed only while device, inode, size and both times are what
//! they were, and is written only when the last change is so far away from the reading
//! that a later one must have another time. It is believed on file systems only whose
//! times are the kernel's own. What is damaged, or from before the machine's last start,
//! is forgotten.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_archive::Contents;
use gantry_types::Digest;
use rustix::fs::Stat;

use crate::cache::boot;

const VERSION: &str = "gantry-contents-1";
/// Bytes of an entry, and of the digest that is its end, and the file's.
const ENTRY: usize = 40 + DIGEST;
const DIGEST: usize = 32;
/// How much older than its reading a file's last change must be: some file systems count
/// seconds, in twos.
const SETTLED: Duration = Duration::from_secs(2);
/// Most files of one index: they are in memory while a build runs.
const MOST_FILES: usize = 200_000;
/// Most indexes, and how much all of them may take on the disk.
const MOST_INDEXES: usize = 256;
const MOST_BYTES: u64 = 64 << 20;
/// ext2 to ext4, xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, bcachefs: their times are this
/// kernel's, and change with each change.
const TRUSTED: [u64; 8] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x794c_7630,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0xca45_1a4e,
];

/// What the kernel says of a file's contents without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Shape {
    device: u64,
    inode: u64,
    size: u64,
    modified: i64,
    changed: i64,
}

/// What is known of the files of one directory. What was learned is kept when this goes.
pub struct Index {
    file: PathBuf,
    entries: Vec<(Shape, Digest, AtomicBool)>,
    learned: Mutex<HashMap<Shape, Digest>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.file.fmt(f)
    }
}

impl Index {
    /// What is known of the directory `top`, kept in `directory`; nothing where times
    /// cannot be relied on.
    pub fn open(directory: &Path, top: &Path) -> Option<Self> {
        let statfs = rustix::fs::statfs(top).ok()?;
        if !TRUSTED.contains(&u64::try_from(statfs.f_type).unwrap_or(0)) {
            return None;
        }
        let stat = rustix::fs::stat(top).ok()?;
        let file = directory.join(format!("{:x}-{:x}", stat.st_dev, stat.st_ino));
        let bytes = std::fs::read(&file).unwrap_or_default();
        Some(Self {
            entries: parse(&bytes).unwrap_or_default(),
            file,
            learned: Mutex::default(),
        })
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<Shape, Digest>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was learned, and of what was not asked for at most as much again: it may
    /// be of files that are no more.
    fn keep(&self) -> std::io::Result<()> {
        let learned = std::mem::take(&mut *self.learned());
        if learned.is_empty() {
            return Ok(());
        }
        let used = |entry: &&(Shape, Digest, AtomicBool)| entry.2.load(Ordering::Relaxed);
        let mut all: HashMap<Shape, Digest> = learned;
        all.extend(self.entries.iter().filter(used).map(|e| (e.0, e.1)));
        let most = all.len().saturating_mul(2).min(MOST_FILES);
        let others = self.entries.iter().filter(|entry| !used(entry));
        for entry in others.take(most.saturating_sub(all.len())) {
            all.insert(entry.0, entry.1);
        }
        let mut sorted: Vec<(Shape, Digest)> = all.into_iter().take(MOST_FILES).collect();
        sorted.sort_unstable_by_key(|entry| entry.0);
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(directory)?;
        let name = format!("new-{}", crate::cache::random_name().unwrap_or_default());
        let new = directory.join(name);
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&render(&sorted)))
            .and_then(|()| std::fs::rename(&new, &self.file));
        if written.is_err() {
            drop(std::fs::remove_file(&new));
        }
        written?;
        bound(directory)
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if let Err(error) = self.keep() {
            tracing::warn!(%error, "the files of a build's context will be read again");
        }
    }
}

impl Contents for Index {
    fn find(&self, stat: &Stat) -> Option<Digest> {
        let shape = shape(stat)?;
        if let Ok(place) = self.entries.binary_search_by_key(&shape, |entry| entry.0) {
            let entry = &self.entries[place];
            entry.2.store(true, Ordering::Relaxed);
            return Some(entry.1);
        }
        self.learned().get(&shape).copied()
    }

    fn learn(&self, stat: &Stat, begun: SystemTime, digest: Digest) {
        let Some(shape) = shape(stat) else { return };
        let latest = begun.checked_sub(SETTLED).and_then(nanoseconds);
        let settled = latest.is_some_and(|latest| shape.modified.max(shape.changed) < latest);
        let mut learned = self.learned();
        if settled && learned.len() < MOST_FILES {
            learned.insert(shape, digest);
        }
    }
}

fn nanoseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

fn shape(stat: &Stat) -> Option<Shape> {
    let time = |seconds: i64, nanoseconds: u64| {
        let seconds = seconds.checked_mul(1_000_000_000)?;
        seconds.checked_add(i64::try_from(nanoseconds).ok()?)
    };
    Some(Shape {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: u64::try_from(stat.st_size).ok()?,
        modified: time(stat.st_mtime, stat.st_mtime_nsec)?,
        changed: time(stat.st_ctime, stat.st_ctime_nsec)?,
    })
}

/// What the file begins with: entries of other boots are not believed.
fn heading() -> Vec<u8> {
    format!("{VERSION} {}\n", boot()).into_bytes()
}

fn render(entries: &[(Shape, Digest)]) -> Vec<u8> {
    let mut bytes = heading();
    bytes.reserve(entries.len() * ENTRY + DIGEST);
    for (shape, digest) in entries {
        for number in [shape.device, shape.inode, shape.size] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(shape.modified.to_le_bytes());
        bytes.extend(shape.changed.to_le_bytes());
        bytes.extend(digest.as_raw());
    }
    let end = Digest::of(&bytes);
    bytes.extend(end.as_raw());
    bytes
}

fn parse(bytes: &[u8]) -> Option<Vec<(Shape, Digest, AtomicBool)>> {
    let (told, end) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    if Digest::of(told).as_raw() != end {
        return None;
    }
    let entries = told.strip_prefix(heading().as_slice())?;
    let entries = entries.chunks_exact(ENTRY).map(|entry| {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&entry[at * 8..at * 8 + 8]);
            bytes
        };
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&entry[40..]);
        let shape = Shape {
            device: u64::from_le_bytes(number(0)),
            inode: u64::from_le_bytes(number(1)),
            size: u64::from_le_bytes(number(2)),
            modified: i64::from_le_bytes(number(3)),
            changed: i64::from_le_bytes(number(4)),
        };
        (shape, Digest::from_raw(digest), AtomicBool::new(false))
    });
    Some(entries.collect())
}

/// Keeps all indexes within their bounds: those go that were written longest ago.
fn bound(directory: &Path) -> std::io::Result<()> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // Another build may have replaced it.
        if let Ok(metadata) = entry.metadata() {
            all.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    all.sort();
    let mut left = (all.len(), all.iter().map(|entry| entry.1).sum::<u64>());
    for (_, bytes, path) in all {
        if left.0 <= MOST_INDEXES && left.1 <= MOST_BYTES {
            break;
        }
        std::fs::remove_file(&path)?;
        left = (left.0 - 1, left.1 - bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(path: &Path) -> Stat {
        rustix::fs::stat(path).unwrap()
    }

    /// A time at which a change of just now is long past.
    fn later() -> SystemTime {
        SystemTime::now() + SETTLED + Duration::from_secs(60)
    }

    fn entry(inode: u64) -> (Shape, Digest) {
        let shape = Shape {
            device: 1,
            inode,
            size: 3,
            modified: -4,
            changed: 5,
        };
        (shape, Digest::of(&inode.to_le_bytes()))
    }

    #[test]
    fn what_was_learned_is_known_to_the_next_build() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, top) = (dir.path().join("kept"), dir.path().join("top"));
        std::fs::create_dir(&top).unwrap();
        let file = top.join("f");
        std::fs::write(&file, "x").unwrap();
        let Some(index) = Index::open(&kept, &top) else {
            return;
        };
        assert_eq!(index.find(&stat(&file)), None);
        index.learn(&stat(&file), later(), Digest::of(b"x"));
        assert_eq!(index.find(&stat(&file)), Some(Digest::of(b"x")));
        drop(index);
        let index = Index::open(&kept, &top).unwrap();
        assert_eq!(index.find(&stat(&file)), Some(Digest::of(b"x")));
        // The same size and the same time, but another change.
        let old = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(&file, "y").unwrap();
        let opened = std::fs::File::open(&file).unwrap();
        opened.set_modified(old).unwrap();
        assert_eq!(index.find(&stat(&file)), None);
    }

    #[test]
    fn what_may_change_unseen_is_not_learned() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "x").unwrap();
        let Some(index) = Index::open(&dir.path().join("kept"), dir.path()) else {
            return;
        };
        index.learn(&stat(&file), SystemTime::now(), Digest::of(b"x"));
        assert_eq!(index.find(&stat(&file)), None);
        drop(index);
        assert!(!dir.path().join("kept").exists());
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = render(&[entry(1), entry(2)]);
        let found = parse(&bytes).unwrap();
        assert_eq!(
            (found.len(), found[1].0, found[1].1),
            (2, entry(2).0, entry(2).1)
        );
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1;
            assert!(parse(&bytes).is_none());
        }
        assert!(parse(&bytes[..bytes.len() - 1]).is_none());
        assert!(parse(b"").is_none());
    }

    #[test]
    fn indexes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..MOST_INDEXES + 3 {
            std::fs::write(dir.path().join(number.to_string()), "x").unwrap();
        }
        bound(dir.path()).unwrap();
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, MOST_INDEXES);
    }
}
