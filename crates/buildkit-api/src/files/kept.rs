//! Directories of clients' files that are kept from build to build, so that only what
//! has changed travels. A directory that is in use is not given to another build: that
//! one gets a directory of its own, which goes when it is done.

use std::collections::HashSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gantry_types::Digest;

/// How long files are kept that nobody uses, as BuildKit keeps them.
const KEPT_FOR: Duration = Duration::from_secs(48 * 3600);

/// All kept directories.
pub(crate) struct Kept {
    directory: PathBuf,
    used: Arc<Mutex<HashSet<PathBuf>>>,
    next: AtomicU64,
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
        let mut used = used(&self.used);
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

    /// Removes what nobody has used for long, or all that is not in use.
    pub(crate) fn clean(&self, all: bool) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let changed = path.metadata().and_then(|metadata| metadata.modified());
            let idle = changed.is_ok_and(|changed| {
                SystemTime::now()
                    .duration_since(changed)
                    .unwrap_or_default()
                    > KEPT_FOR
            });
            let mut used = used(&self.used);
            if (all || idle) && used.insert(path.clone()) {
                drop(used);
                let removed = gantry_archive::remove_tree(&path);
                if let Err(error) = removed {
                    tracing::warn!(%error, "removing a client's files");
                }
                self::used(&self.used).remove(&path);
            }
        }
    }
}

fn used(used: &Mutex<HashSet<PathBuf>>) -> MutexGuard<'_, HashSet<PathBuf>> {
    used.lock().unwrap_or_else(PoisonError::into_inner)
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
        used(&self.used).remove(self.directory.as_ref());
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
        kept.clean(false);
        assert!(path.exists());
        kept.clean(true);
        assert!(!path.exists());
        assert!(kept.take(&["", "context"]).unwrap().passing);
    }
}
