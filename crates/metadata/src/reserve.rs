//! Room kept for giving room back: on a full disk the records of what is
//! removed could not be deleted, and so nothing could ever be removed.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FallocateFlags;

/// What is kept: enough for some hundred small transactions.
const SIZE: u64 = 2 << 20;
/// It is given back in pieces, as others may use what is given back.
const PIECE: u64 = SIZE / 8;
/// The reserve is taken only from a disk with this much room.
const COMFORT: u64 = 2 * SIZE;

/// A file of [`SIZE`] bytes beside the database.
pub(crate) struct Reserve {
    path: PathBuf,
    held: AtomicU64,
}

impl Reserve {
    /// The reserve of the database at `database`; it is taken at once, if the
    /// disk has the room.
    pub(crate) fn new(database: &Path) -> Self {
        let path = database.with_extension("reserve");
        let held = std::fs::metadata(&path).map_or(0, |found| found.len());
        let reserve = Self {
            path,
            held: AtomicU64::new(held),
        };
        reserve.restore();
        reserve
    }

    /// Gives some room back, if the disk has less than that left.
    pub(crate) fn release_if_needed(&self) {
        let held = self.held.load(Ordering::Relaxed);
        if held == 0 || self.room() >= PIECE {
            return;
        }
        let left = held.saturating_sub(PIECE);
        tracing::warn!(left, "the disk is full: room kept for removals is used");
        let shortened = std::fs::OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.set_len(left));
        if let Err(error) = shortened {
            tracing::warn!(%error, "cannot give reserved room back");
        }
        self.held.store(left, Ordering::Relaxed);
    }

    /// Takes the room again when there is plenty.
    pub(crate) fn restore(&self) {
        if self.held.load(Ordering::Relaxed) >= SIZE || self.room() < COMFORT {
            return;
        }
        match self.take() {
            Ok(()) => self.held.store(SIZE, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "no room is kept for removals"),
        }
    }

    fn take(&self) -> io::Result<()> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        Ok(rustix::fs::fallocate(
            &file,
            FallocateFlags::empty(),
            0,
            SIZE,
        )?)
    }

    /// What the disk has left; plenty when it does not say.
    fn room(&self) -> u64 {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        rustix::fs::statvfs(directory)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_once_and_kept_while_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("metadata.db");
        let reserve = Reserve::new(&database);
        let file = dir.path().join("metadata.reserve");
        assert_eq!(std::fs::metadata(&file).unwrap().len(), SIZE);
        reserve.release_if_needed();
        assert!(file.exists());
        let again = Reserve::new(&database);
        assert_eq!(again.held.load(Ordering::Relaxed), SIZE);
    }
}
