//! Directories of clients' files that are kept from build to build, so that only what
//! has changed travels. A directory that is in use is not given to another build: that
//! one gets a directory of its own, which goes when it is done.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gantry_types::Digest;

/// The part of what the cache may take that clients' files may take, and at least.
const SHARE: u64 = 4;
const LEAST: u64 = 512 << 20;
/// How long files are kept that nobody uses, as BuildKit keeps them.
const KEPT_FOR: Duration = Duration::from_secs(48 * 3600);

/// All kept directories.
pub(crate) struct Kept {
    directory: PathBuf,
    used: Arc<Mutex<HashSet<PathBuf>>>,
    next: AtomicU64,
    /// What was measured, and when that was used.
    measured: Mutex<HashMap<PathBuf, (SystemTime, u64)>>,
}

/// A directory in use.
pub(crate) struct Place {
    pub(crate) directory: Arc<Path>,
    used: Arc<Mutex<HashSet<PathBuf>>>,
    passing: bool,
}

impl Kept {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            used: Arc::default(),
            next: AtomicU64::new(0),
            measured: Mutex::default(),
        }
    }

    /// The directory of the clients that share `key`; an empty key is nobody's.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn take(&self, key: &[&str]) -> std::io::Result<Place> {
        let name = Digest::of(key.join("\0").as_bytes()).to_string();
        let name = name.rsplit(':').next().unwrap_or_default();
        let shared = self.directory.join(name);
        let mut used = lock(&self.used);
        let passing = key.first().is_none_or(|key| key.is_empty()) || used.contains(&shared);
        let directory = match passing {
            false => shared,
            true => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                self.directory.join(format!("passing-{number}"))
            }
        };
        if passing {
            // A daemon that was killed may have left one.
            drop(gantry_archive::remove_tree(&directory));
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        used.insert(directory.clone());
        Ok(Place {
            directory: directory.into(),
            used: Arc::clone(&self.used),
            passing,
        })
    }

    /// Removes all that is not in use.
    pub(crate) fn clear(&self) {
        for (_, path) in self.all() {
            self.remove(&path);
        }
    }

    /// Removes what nobody has used for long, and what was used longest ago while all
    /// takes more than its part of `cache` bytes.
    pub(crate) fn clean(&self, cache: u64) {
        let most = (cache / SHARE).max(LEAST);
        let mut left = 0;
        // The latest first: what has no room beside it goes.
        for (changed, path) in self.all().into_iter().rev() {
            let idle = SystemTime::now()
                .duration_since(changed)
                .unwrap_or_default();
            let bytes = self.measure(&path, changed);
            if idle > KEPT_FOR || left + bytes > most {
                self.remove(&path);
            } else {
                left += bytes;
            }
        }
    }

    /// All directories, with the times of their last use, the oldest first.
    fn all(&self) -> Vec<(SystemTime, PathBuf)> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten();
        let dated = entries.flatten().filter_map(|entry| {
            let changed = entry.metadata().and_then(|metadata| metadata.modified());
            Some((changed.ok()?, entry.path()))
        });
        let mut all: Vec<_> = dated.collect();
        all.sort();
        all
    }

    /// What a directory takes on the disk; it is gone through once after each use.
    fn measure(&self, path: &Path, changed: SystemTime) -> u64 {
        let known = |measured: &HashMap<PathBuf, (SystemTime, u64)>| measured.get(path).copied();
        match known(&lock(&self.measured)) {
            Some((then, bytes)) if then == changed => return bytes,
            _ => {}
        }
        let bytes = gantry_archive::disk_usage(path).unwrap_or(0);
        lock(&self.measured).insert(path.to_owned(), (changed, bytes));
        bytes
    }

    fn remove(&self, path: &Path) {
        if !lock(&self.used).insert(path.to_owned()) {
            return;
        }
        if let Err(error) = gantry_archive::remove_tree(path) {
            tracing::warn!(%error, "removing a client's files");
        }
        lock(&self.measured).remove(path);
        lock(&self.used).remove(path);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.passing {
            if let Err(error) = gantry_archive::remove_tree(&self.directory) {
                tracing::warn!(%error, "removing a client's files");
            }
        } else if let Ok(file) = std::fs::File::open(&self.directory) {
            // The directory's time is when it was used last; nothing depends on it.
            drop(file.set_modified(SystemTime::now()));
        }
        lock(&self.used).remove(self.directory.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_used_by_one_at_a_time_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path().join("kept"));
        let first = kept.take(&["key", "context"]).unwrap();
        let second = kept.take(&["key", "context"]).unwrap();
        assert_ne!(first.directory, second.directory);
        std::fs::write(first.directory.join("f"), "x").unwrap();
        let (path, gone) = (first.directory.clone(), second.directory.clone());
        drop((first, second));
        assert!(!gone.exists());
        assert_eq!(kept.take(&["key", "context"]).unwrap().directory, path);
        assert!(path.join("f").exists());
        kept.clean(0);
        assert!(path.exists());
        kept.clear();
        assert!(!path.exists());
        assert!(kept.take(&["", "context"]).unwrap().passing);
    }

    #[test]
    fn what_was_used_longest_ago_goes_when_there_is_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path().join("kept"));
        let mut paths = Vec::new();
        for (key, hours) in [("new", 1), ("old", 2), ("older", 3)] {
            let path = kept.take(&[key]).unwrap().directory.to_path_buf();
            let changed = SystemTime::now() - Duration::from_secs(hours * 3600);
            let opened = std::fs::File::open(&path).unwrap();
            opened.set_modified(changed).unwrap();
            let bytes = LEAST / 2 - 1;
            lock(&kept.measured).insert(path.clone(), (changed, bytes));
            paths.push(path);
        }
        kept.clean(0);
        assert!(paths[0].exists() && paths[1].exists() && !paths[2].exists());
        kept.clean(LEAST * SHARE * 2);
        assert!(paths[1].exists());
    }
}
