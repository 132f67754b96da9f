//! A blob that arrives from far away: what has come of it outlives the one who
//! fetches it, and the daemon, so that the next one goes on there.
//!
//! Invariant: the hash is always that of the bytes before the place where one is.
//! What was stored by somebody else is therefore read again before anything can be
//! added to it, and the whole must hash to the digest in the end, so that nothing
//! that a crash or a foreign hand has done to the file goes unnoticed.

use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gantry_metadata::blobs;
use gantry_types::{Digest, Hasher};

use crate::store::Inner;
use crate::{Blob, Collected, ContentStore, Epoch, Error};

/// So long a partial blob waits for somebody who goes on with it.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So many bytes wait at most; the oldest go first.
const MOST_BYTES: u64 = 16 << 30;

/// What a blob is said to be: two who say different things of one digest cannot
/// both be right, and do not share their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    digest: Digest,
    size: u64,
}

impl Key {
    fn file_name(self) -> String {
        format!("{}.{}", self.digest.hex(), self.size)
    }

    fn parse(name: &str) -> Option<Self> {
        let (hex, size) = name.split_once('.')?;
        Some(Self {
            digest: Digest::from_hex(hex)?,
            size: size.parse().ok()?,
        })
    }
}

/// The directory of partial blobs, and which are being worked on.
pub(crate) struct Partials {
    pub(crate) directory: PathBuf,
    busy: Mutex<HashSet<Key>>,
}

/// A blob of which a part may be there. One owner at a time.
///
/// [`replay`](Self::replay) until it gives nothing more, [`append`](Self::append)
/// what is missing, then [`complete`](Self::complete). When it is dropped, what has
/// come stays; also after `complete`, until [`ContentStore::forget_partial`].
pub struct Partial {
    inner: Arc<Inner>,
    key: Key,
    file: File,
    /// How many bytes the file has.
    stored: u64,
    /// How many of them the hasher has seen.
    place: u64,
    hasher: Hasher,
    /// When it was opened.
    epoch: Epoch,
}

/// A partial blob that nobody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    path: PathBuf,
    /// None for what is not named like one.
    key: Option<Key>,
    bytes: u64,
    modified: SystemTime,
}

impl Partials {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            busy: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, key: Key) -> PathBuf {
        self.directory.join(key.file_name())
    }

    /// Those that nobody works on, oldest first.
    fn waiting(&self, busy: &HashSet<Key>) -> Result<Vec<Waiting>, Error> {
        let at = || Error::disk("list", &self.directory);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(at())? {
            let path = entry.map_err(at())?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let key = name.and_then(Key::parse);
            if key.is_some_and(|key| busy.contains(&key)) {
                continue;
            }
            // It may have gone since.
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            found.push(Waiting {
                key: key.filter(|key| meta.is_file() && meta.len() <= key.size),
                bytes: meta.len(),
                modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                path,
            });
        }
        gantry_types::sort::by_key(&mut found, |waiting| waiting.modified);
        Ok(found)
    }
}

impl ContentStore {
    /// Takes what has come of a blob so far, maybe nothing, to go on with it.
    ///
    /// # Errors
    /// `Busy` when somebody has it, `Disk`.
    pub fn partial(&self, digest: Digest, size: u64) -> Result<Partial, Error> {
        let key = Key { digest, size };
        let partials = &self.inner().partials;
        let mut busy = partials.lock();
        // What is there was written in it too, or would have gone with its end.
        let epoch = self.epoch();
        if !busy.insert(key) {
            return Err(Error::Busy(digest));
        }
        drop(busy);
        let opened = open(&partials.path(key));
        match opened {
            Ok((file, stored)) => {
                let mut partial = Partial {
                    inner: Arc::clone(self.inner()),
                    key,
                    file,
                    stored,
                    place: 0,
                    hasher: digest.hasher(),
                    epoch,
                };
                if stored > size {
                    partial.restart()?;
                }
                Ok(partial)
            }
            Err(error) => {
                partials.lock().remove(&key);
                Err(error)
            }
        }
    }

    /// The blob is recorded, or not wanted after all: what came of it is no longer
    /// needed as a part.
    pub fn forget_partial(&self, digest: Digest, size: u64) {
        let key = Key { digest, size };
        let busy = self.inner().partials.lock();
        if !busy.contains(&key) {
            delete(&self.inner().partials.path(key));
        }
    }

    /// How many partial blobs wait for somebody who goes on with them, and their bytes.
    ///
    /// # Errors
    /// `Disk`.
    pub fn partials(&self) -> Result<Collected, Error> {
        let partials = &self.inner().partials;
        let waiting = partials.waiting(&partials.lock())?;
        Ok(Collected {
            blobs: waiting.len() as u64,
            bytes: waiting.iter().map(|waiting| waiting.bytes).sum(),
        })
    }

    /// Removes the partial blobs that nobody works on and that have waited for `age`.
    ///
    /// # Errors
    /// `Disk`.
    pub fn remove_partials(&self, age: Duration) -> Result<Collected, Error> {
        self.inner().remove_partials(age, MOST_BYTES)
    }
}

impl Inner {
    /// At the start: removes what is too old or too much, what is recorded by now,
    /// and what is none.
    pub(crate) fn tidy_partials(&self) -> Result<(), Error> {
        let directory = &self.partials.directory;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(Error::disk("create", directory))?;
        for waiting in self.partials.waiting(&HashSet::new())? {
            let recorded = match waiting.key {
                Some(key) => self
                    .database
                    .read(|view| blobs::get(view, key.digest))?
                    .is_some(),
                None => true,
            };
            if recorded {
                delete(&waiting.path);
            }
        }
        self.remove_partials(LONGEST_WAIT, MOST_BYTES).map(drop)
    }

    fn remove_partials(&self, age: Duration, most: u64) -> Result<Collected, Error> {
        let busy = self.partials.lock();
        let waiting = self.partials.waiting(&busy)?;
        let mut left: u64 = waiting.iter().map(|waiting| waiting.bytes).sum();
        let mut removed = Collected::default();
        for waiting in waiting {
            let waited = waiting.modified.elapsed().unwrap_or_default();
            if waited >= age || left > most {
                delete(&waiting.path);
                left -= waiting.bytes;
                removed.blobs += 1;
                removed.bytes += waiting.bytes;
            }
        }
        Ok(removed)
    }

    /// What has come may be spoilt now, though it reads well as long as the kernel
    /// remembers it. What somebody works on goes when he lets go of it.
    pub(crate) fn end_epoch(&self) {
        let busy = self.partials.lock();
        self.epochs.end();
        match self.partials.waiting(&busy) {
            Ok(waiting) => waiting.iter().for_each(|waiting| delete(&waiting.path)),
            Err(error) => tracing::warn!(%error, "partial blobs that may be lost stay"),
        }
    }

    /// On a full disk what somebody works on goes before what waits; whether
    /// anything was freed.
    fn make_room(&self) -> bool {
        self.remove_partials(Duration::ZERO, 0)
            .is_ok_and(|removed| removed.bytes > 0)
    }
}

impl Partial {
    /// What it shall become.
    pub fn digest(&self) -> Digest {
        self.key.digest
    }

    /// How long it shall become.
    pub fn size(&self) -> u64 {
        self.key.size
    }

    /// How many bytes there are.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// The next of the bytes that were there already; nothing when all were given.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn replay(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.place == self.stored {
            return Ok(0);
        }
        let left = usize::try_from(self.stored - self.place).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let count = self.file.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(&buffer[..count]);
        self.place += count as u64;
        Ok(count)
    }

    /// Adds bytes behind those that are there, all of which were replayed.
    ///
    /// # Errors
    /// When the disk is full, even without the partial blobs that nobody works on.
    ///
    /// # Panics
    /// When there are bytes that were not replayed.
    pub fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        assert_eq!(self.place, self.stored, "what is there is replayed first");
        while !bytes.is_empty() {
            let count = match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error)
                    if error.kind() == io::ErrorKind::StorageFull && self.inner.make_room() =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.hasher.update(&bytes[..count]);
            self.stored += count as u64;
            self.place = self.stored;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Whether the bytes seen so far are all, and the right ones.
    ///
    /// # Errors
    /// `WrongSize`, `WrongDigest`.
    pub fn check(&self) -> Result<(), Error> {
        let Key { digest, size } = self.key;
        if self.place != size {
            return Err(Error::WrongSize {
                digest,
                expected: size,
                found: self.place,
            });
        }
        let found = self.hasher.clone().finish();
        if found != digest {
            return Err(Error::WrongDigest {
                expected: digest,
                found: Box::new(found),
            });
        }
        Ok(())
    }

    /// Makes the blob visible; it is on the disk for good after the next
    /// [`ContentStore::sync`]: an image has many. Its bytes stay here as well: until
    /// it is recorded, that is what the next one finds.
    ///
    /// # Errors
    /// `WrongSize`, `WrongDigest`, `Disk`.
    pub fn complete(&self) -> Result<Blob, Error> {
        self.check()?;
        let path = self.inner.partials.path(self.key);
        self.inner
            .publish(&path, self.key.digest, self.key.size, self.epoch, false)
    }

    /// Begins anew: what was there is not what it should be.
    ///
    /// # Errors
    /// `Disk`.
    pub fn restart(&mut self) -> Result<(), Error> {
        let path = self.inner.partials.path(self.key);
        // Not shortened: the file may have become a blob.
        delete(&path);
        let (file, stored) = open(&path)?;
        self.file = file;
        self.stored = stored;
        self.place = 0;
        self.hasher = self.key.digest.hasher();
        Ok(())
    }

    /// Removes what has come.
    pub fn discard(mut self) {
        self.stored = 0;
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let mut busy = self.inner.partials.lock();
        if self.stored == 0 || self.inner.epochs.now() != self.epoch {
            delete(&self.inner.partials.path(self.key));
        }
        busy.remove(&self.key);
    }
}

fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(Error::disk("open", path))?;
    let meta = file.metadata().map_err(Error::disk("stat", path))?;
    Ok((file, meta.len()))
}

fn delete(path: &Path) {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        _ => std::fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a partial blob stays behind");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gantry_metadata::Database;

    use super::*;

    fn store(root: &Path) -> ContentStore {
        let database = Arc::new(Database::open(root.join("metadata.db")).unwrap());
        ContentStore::open(root.join("content"), database).unwrap()
    }

    fn files(root: &Path, name: &str) -> usize {
        std::fs::read_dir(root.join("content").join(name))
            .unwrap()
            .count()
    }

    fn replayed(partial: &mut Partial) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 3];
        loop {
            match partial.replay(&mut buffer).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn a_part_outlives_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"hello world");
        {
            let store = store(dir.path());
            let mut partial = store.partial(digest, 11).unwrap();
            partial.append(b"hello").unwrap();
            assert!(matches!(store.partial(digest, 11), Err(Error::Busy(_))));
            assert!(matches!(partial.complete(), Err(Error::WrongSize { .. })));
        }
        let store = store(dir.path());
        let waiting = Collected { blobs: 1, bytes: 5 };
        assert_eq!(store.partials().unwrap(), waiting);
        let mut partial = store.partial(digest, 11).unwrap();
        assert_eq!(partial.stored(), 5);
        assert_eq!(replayed(&mut partial), b"hello");
        partial.append(b" world").unwrap();
        let blob = partial.complete().unwrap();
        drop(partial);
        assert_eq!(store.read(digest, 20).unwrap(), b"hello world");
        drop(blob);
        // Not recorded: the blob goes, what has come stays.
        store.collect_files(Duration::ZERO).unwrap();
        assert!(!store.exists(digest));
        let mut partial = store.partial(digest, 11).unwrap();
        assert_eq!(replayed(&mut partial), b"hello world");
        drop(partial.complete().unwrap());
        drop(partial);
        store.forget_partial(digest, 11);
        assert_eq!(files(dir.path(), "partial"), 0);
    }

    #[test]
    fn a_spoilt_part_is_noticed_and_no_blob_is_harmed() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let digest = Digest::of(b"right");
        let mut partial = store.partial(digest, 5).unwrap();
        partial.append(b"wro").unwrap();
        drop(partial);
        let mut partial = store.partial(digest, 5).unwrap();
        replayed(&mut partial);
        partial.append(b"ht").unwrap();
        assert!(matches!(partial.complete(), Err(Error::WrongDigest { .. })));
        partial.restart().unwrap();
        assert_eq!(partial.stored(), 0);
        partial.append(b"right").unwrap();
        let blob = partial.complete().unwrap();
        partial.restart().unwrap();
        drop(partial);
        assert_eq!(store.read(blob.digest(), 5).unwrap(), b"right");
        assert_eq!(files(dir.path(), "partial"), 0);
    }

    #[test]
    fn what_is_old_or_recorded_or_foreign_goes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("content/partial");
        {
            let store = store(dir.path());
            for text in [b"one", b"two"] {
                let mut partial = store.partial(Digest::of(text), 3).unwrap();
                partial.append(text).unwrap();
            }
            let mut partial = store.partial(Digest::of(b"three"), 5).unwrap();
            partial.append(b"three").unwrap();
            let blob = partial.complete().unwrap();
            store
                .inner()
                .database
                .write(|tx| blobs::insert(tx, blob.digest(), 5))
                .unwrap();
            let old = SystemTime::now() - LONGEST_WAIT;
            let path = store.inner().partials.path(Key {
                digest: Digest::of(b"one"),
                size: 3,
            });
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(old)
                .unwrap();
            std::fs::write(root.join("foreign"), "x").unwrap();
            std::fs::create_dir(root.join("folder")).unwrap();
            let too_long = format!("{}.1", Digest::of(b"two").hex());
            std::fs::write(root.join(too_long), "xy").unwrap();
        }
        let store = store(dir.path());
        assert_eq!(files(dir.path(), "partial"), 1);
        assert!(store.exists(Digest::of(b"three")));
        let busy = store.partial(Digest::of(b"two"), 3).unwrap();
        assert_eq!(store.remove_partials(Duration::ZERO).unwrap().blobs, 0);
        drop(busy);
        assert_eq!(store.remove_partials(Duration::ZERO).unwrap().bytes, 3);
        assert_eq!(files(dir.path(), "partial"), 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        for (age, text) in [(2, b"one"), (1, b"two")] {
            let digest = Digest::of(text);
            let mut partial = store.partial(digest, 3).unwrap();
            partial.append(text).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            partial.file.set_modified(time).unwrap();
        }
        let removed = store.inner().remove_partials(LONGEST_WAIT, 3).unwrap();
        assert_eq!(removed, Collected { blobs: 1, bytes: 3 });
        let left = store.partial(Digest::of(b"two"), 3).unwrap();
        assert_eq!(left.stored(), 3);
    }
}
