//! The store: opening, publishing, reading and collecting blobs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gantry_metadata::{Database, blobs};
use gantry_types::Digest;

use crate::epoch::Epochs;
use crate::partial::Partials;
use crate::{Draft, Epoch, Error, Ingest};

/// A directory for each: by what blobs are named.
pub(crate) const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

/// The content store of one daemon. Cheap to clone; all methods block.
#[derive(Clone)]
pub struct ContentStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) blobs: PathBuf,
    pub(crate) ingests: PathBuf,
    pub(crate) partials: Partials,
    pub(crate) database: Arc<Database>,
    /// The [`Blob`]s that there are of each digest. Held while files appear
    /// under their digest or vanish.
    held: Mutex<HashMap<Digest, Held>>,
    pub(crate) epochs: Epochs,
    /// The directory of blobs, open from the start: what the kernel could not write
    /// since then is an error of the next sync, also what it tried meanwhile.
    synced: File,
}

/// What is held of one digest.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    count: usize,
    /// When it was written, or else first held.
    epoch: Epoch,
}

/// A complete blob, kept from collection while this value lives: record it
/// (`gantry_metadata::blobs::insert`) before letting go.
pub struct Blob {
    inner: Arc<Inner>,
    digest: Digest,
    size: u64,
    epoch: Epoch,
}

/// What a collection has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Number of blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl ContentStore {
    /// Opens the store in the directory `root`, making it where needed. What a
    /// dead daemon was writing is removed, but for what came from far away, and so
    /// is every blob without a record.
    ///
    /// # Errors
    /// `Disk`, `Metadata`.
    pub fn open(root: impl AsRef<Path>, database: Arc<Database>) -> Result<Self, Error> {
        let root = root.as_ref();
        let (blobs, ingests) = (root.join("blobs"), root.join("ingest"));
        let by_algorithm = ALGORITHMS.map(|name| blobs.join(name));
        for directory in by_algorithm.iter().chain([&ingests]) {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(Error::disk("create", directory))?;
        }
        let inner = Inner {
            synced: File::open(&blobs).map_err(Error::disk("open", &blobs))?,
            blobs,
            ingests,
            partials: Partials::new(root.join("partial")),
            database,
            held: Mutex::default(),
            epochs: Epochs::default(),
        };
        inner.remove_ingests()?;
        inner.tidy_partials()?;
        let store = Self {
            inner: Arc::new(inner),
        };
        store.collect_files(Duration::ZERO)?;
        Ok(store)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// `Disk`.
    pub fn ingest(&self) -> Result<Ingest, Error> {
        Ingest::create(Arc::clone(&self.inner))
    }

    /// Begins a blob whose digest the caller computes.
    ///
    /// # Errors
    /// `Disk`.
    pub fn draft(&self) -> Result<Draft, Error> {
        Draft::create(Arc::clone(&self.inner))
    }

    /// A path for a scratch directory or file on the store's file system that
    /// does not exist yet; what is left there is removed at the next open.
    ///
    /// # Errors
    /// When the kernel has no random numbers.
    pub fn scratch_path(&self) -> Result<PathBuf, Error> {
        self.inner.scratch_path()
    }

    /// Makes a file on the store's file system visible under `digest`, which
    /// the caller has computed of its bytes. The file itself stays where it is
    /// as a second name of the same bytes: it must not be written to again.
    ///
    /// # Errors
    /// `Disk`.
    pub fn adopt(&self, path: &Path, digest: Digest, size: u64) -> Result<Blob, Error> {
        let epoch = self.epoch();
        self.inner
            .publish(path, digest, size, epoch, false)?
            .synced()
    }

    /// Stores bytes at once, on the disk for good.
    ///
    /// # Errors
    /// `WrongDigest`, `Disk`.
    pub fn put(&self, bytes: &[u8], expected: Option<Digest>) -> Result<Blob, Error> {
        let mut ingest = self.ingest()?;
        io::Write::write_all(&mut ingest, bytes)
            .map_err(Error::disk("write", &self.inner.ingests))?;
        ingest.commit(expected, None)
    }

    /// Stores bytes that are on the disk for good only after the next
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// `Disk`.
    pub fn put_soon(&self, bytes: &[u8]) -> Result<Blob, Error> {
        let mut ingest = self.ingest()?;
        io::Write::write_all(&mut ingest, bytes)
            .map_err(Error::disk("write", &self.inner.ingests))?;
        ingest.commit_unsynced()
    }

    /// Writes all that is visible to the disk, whatever else its file system has to
    /// write (`syncfs`). A failure ends the epoch.
    ///
    /// # Errors
    /// `Disk`.
    pub fn sync(&self) -> Result<(), Error> {
        rustix::fs::syncfs(&self.inner.synced).map_err(|errno| {
            self.end_epoch();
            Error::disk("sync", &self.inner.blobs)(errno.into())
        })
    }

    /// Which epoch it is: to be asked before something is written.
    pub fn epoch(&self) -> Epoch {
        self.inner.epochs.now()
    }

    /// A sync has failed, of this store or of what goes with it.
    pub fn end_epoch(&self) {
        self.inner.end_epoch();
    }

    /// Whether all that was written since then can be on the disk.
    ///
    /// # Errors
    /// `MayBeLost` when a sync has failed meanwhile.
    pub fn unbroken(&self, since: Epoch) -> Result<(), Error> {
        match since == self.epoch() {
            true => Ok(()),
            false => Err(Error::MayBeLost),
        }
    }

    /// The number of the file system's device.
    ///
    /// # Errors
    /// `Disk`.
    pub fn device(&self) -> Result<u64, Error> {
        let meta = std::fs::metadata(&self.inner.blobs);
        Ok(meta.map_err(Error::disk("stat", &self.inner.blobs))?.dev())
    }

    /// Keeps a blob that is there from collection.
    ///
    /// # Errors
    /// `NotFound`, `Disk`.
    pub fn hold(&self, digest: Digest) -> Result<Blob, Error> {
        self.inner.hold(&mut self.inner.lock(), digest)
    }

    /// Lets go of a blob; its file goes too when nobody else holds it and there is
    /// no record of it.
    ///
    /// # Errors
    /// `Metadata`; the file stays until the next open then.
    pub fn let_go(&self, blob: Blob) -> Result<(), Error> {
        let digest = blob.digest;
        drop(blob);
        self.inner.delete_unrecorded(digest).map(drop)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// `NotFound`, `Disk`.
    pub fn reader(&self, digest: Digest) -> Result<File, Error> {
        let path = self.inner.path(digest);
        match File::open(&path) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound(digest)),
            Err(error) => Err(Error::disk("open", path)(error)),
        }
    }

    /// All bytes of a blob of at most `limit` bytes.
    ///
    /// # Errors
    /// `NotFound`, `Disk`, and `WrongSize` when it is longer.
    pub fn read(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, Error> {
        let file = self.reader(digest)?;
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::disk("read", self.inner.path(digest)))?;
        if bytes.len() as u64 > limit {
            return Err(Error::WrongSize {
                digest,
                expected: limit,
                found: bytes.len() as u64,
            });
        }
        Ok(bytes)
    }

    /// Whether the blob is there.
    pub fn exists(&self, digest: Digest) -> bool {
        self.inner.path(digest).exists()
    }

    /// The digests of all files that are there.
    ///
    /// # Errors
    /// `Disk`.
    pub fn list(&self) -> Result<Vec<Digest>, Error> {
        Ok(self
            .inner
            .files()?
            .into_iter()
            .filter_map(|(_, digest)| digest)
            .collect())
    }

    /// Forgets and deletes the blobs that no image needs and no lease holds.
    ///
    /// # Errors
    /// `Metadata`; a file that cannot be deleted is left to the next open.
    pub fn collect(&self) -> Result<Collected, Error> {
        self.collect_measured().map(|(collected, _)| collected)
    }

    /// The same, and how many bytes the disk has got back.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn collect_measured(&self) -> Result<(Collected, u64), Error> {
        let rows = self
            .inner
            .database
            .write_freeing(blobs::delete_unreferenced)?;
        let (mut collected, mut freed) = (Collected::default(), 0);
        for row in rows {
            if let Some(disk) = self.inner.delete_unrecorded(row.digest)? {
                collected.blobs += 1;
                collected.bytes += row.size;
                freed += disk;
            }
        }
        Ok((collected, freed))
    }

    /// Deletes the files without a record that are at least `age` old: what a
    /// crash between bytes and record has left.
    ///
    /// # Errors
    /// `Disk`, `Metadata`.
    pub fn collect_files(&self, age: Duration) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        let now = SystemTime::now();
        for (path, digest) in self.inner.files()? {
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            let young = |time| now.duration_since(time).is_ok_and(|passed| passed < age);
            if meta.modified().is_ok_and(young) {
                continue;
            }
            let Some(digest) = digest else {
                tracing::warn!(path = %path.display(), "a foreign file among the blobs");
                continue;
            };
            if self.inner.delete_unrecorded(digest)?.is_some() {
                collected.blobs += 1;
                collected.bytes += meta.len();
            }
        }
        Ok(collected)
    }
}

impl Inner {
    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.blobs.join(digest.algorithm()).join(digest.hex())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a blob that is there.
    pub(crate) fn hold(
        self: &Arc<Self>,
        held: &mut HashMap<Digest, Held>,
        digest: Digest,
    ) -> Result<Blob, Error> {
        let path = self.path(digest);
        let size = match std::fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NotFound(digest));
            }
            Err(error) => return Err(Error::disk("stat", path)(error)),
        };
        Ok(self.held(held, digest, size, self.epochs.now()))
    }

    /// One more that holds a blob, which was written in this epoch if nobody knows
    /// better.
    fn held(
        self: &Arc<Self>,
        held: &mut HashMap<Digest, Held>,
        digest: Digest,
        size: u64,
        epoch: Epoch,
    ) -> Blob {
        let entry = held.entry(digest).or_insert(Held { count: 0, epoch });
        entry.count += 1;
        entry.epoch = entry.epoch.min(epoch);
        Blob {
            inner: Arc::clone(self),
            digest,
            size,
            epoch: entry.epoch,
        }
    }

    pub(crate) fn scratch_path(&self) -> Result<PathBuf, Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            Error::disk("name a file in", &self.ingests)(io::Error::other(error.to_string()))
        })?;
        let name = format!("{:032x}", u128::from_ne_bytes(random));
        Ok(self.ingests.join(name))
    }

    /// Gives the file at `path` its digest as a second name. Neither is on the disk
    /// for good by that. A file that is there already stays, unless it is obviously
    /// damaged, or is to be put `anew`.
    pub(crate) fn publish(
        self: &Arc<Self>,
        path: &Path,
        digest: Digest,
        size: u64,
        epoch: Epoch,
        anew: bool,
    ) -> Result<Blob, Error> {
        let target = self.path(digest);
        let mut held = self.lock();
        let failed = || Error::disk("publish", &target);
        match std::fs::hard_link(path, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = std::fs::symlink_metadata(&target).map_err(failed())?;
                if anew || there.len() != size {
                    // At no moment there is none.
                    let beside = self.scratch_path()?;
                    std::fs::hard_link(path, &beside)
                        .and_then(|()| std::fs::rename(&beside, &target))
                        .map_err(failed())?;
                }
            }
            Err(error) => return Err(failed()(error)),
        }
        Ok(self.held(&mut held, digest, size, epoch))
    }

    /// Deletes a file without a record and without a holder; what it took on the
    /// disk, if there was one.
    fn delete_unrecorded(&self, digest: Digest) -> Result<Option<u64>, Error> {
        let held = self.lock();
        if held.contains_key(&digest) {
            return Ok(None);
        }
        let row = self.database.read(|view| blobs::get(view, digest))?;
        if row.is_some() {
            return Ok(None);
        }
        let path = self.path(digest);
        let disk = std::fs::symlink_metadata(&path).map_or(0, |meta| meta.blocks() * 512);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(Some(disk)),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "cannot delete a blob");
                }
                Ok(None)
            }
        }
    }

    pub(crate) fn files(&self) -> Result<Vec<(PathBuf, Option<Digest>)>, Error> {
        let at = || Error::disk("list", &self.blobs);
        let mut files = Vec::new();
        for algorithm in ALGORITHMS {
            for entry in std::fs::read_dir(self.blobs.join(algorithm)).map_err(at())? {
                let path = entry.map_err(at())?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                let digest = name.and_then(|name| format!("{algorithm}:{name}").parse().ok());
                files.push((path, digest));
            }
        }
        Ok(files)
    }

    fn remove_ingests(&self) -> Result<(), Error> {
        let at = || Error::disk("list", &self.ingests);
        for entry in std::fs::read_dir(&self.ingests).map_err(at())? {
            let path = entry.map_err(at())?.path();
            let removed = match std::fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&path),
                _ => std::fs::remove_file(&path),
            };
            removed.map_err(Error::disk("remove", path))?;
        }
        Ok(())
    }
}

impl Blob {
    /// The same, on the disk for good: its bytes, which somebody else may have
    /// published a moment ago, and its name. Others publish meanwhile.
    pub(crate) fn synced(self) -> Result<Self, Error> {
        let path = self.inner.path(self.digest);
        let file = File::open(&path).and_then(|file| file.sync_data());
        let folder = path.parent().unwrap_or(&self.inner.blobs);
        let name = File::open(folder).and_then(|directory| directory.sync_all());
        let Err(error) = file.and(name) else {
            return Ok(self);
        };
        let (inner, digest) = (Arc::clone(&self.inner), self.digest);
        drop(self);
        inner.delete_unrecorded(digest)?;
        Err(Error::disk("sync", path)(error))
    }

    /// What its bytes hash to.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its length.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When it was written, if that was while somebody has held it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let mut held = self.inner.lock();
        if let Some(entry) = held.get_mut(&self.digest) {
            entry.count -= 1;
            if entry.count == 0 {
                held.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn open(root: &Path) -> (Arc<Database>, ContentStore) {
        let database = Arc::new(Database::open(root.join("metadata.db")).unwrap());
        let store = ContentStore::open(root.join("content"), Arc::clone(&database)).unwrap();
        (database, store)
    }

    fn record(database: &Database, blob: &Blob) {
        database
            .write(|tx| blobs::insert(tx, blob.digest(), blob.size()))
            .unwrap();
    }

    #[test]
    fn nothing_is_visible_before_commit_and_nothing_left_without() {
        let dir = tempfile::tempdir().unwrap();
        let (_, store) = open(dir.path());
        let mut ingest = store.ingest().unwrap();
        ingest.write_all(b"hello").unwrap();
        assert_eq!(store.list().unwrap(), []);
        let wrong = ingest.commit(Some(Digest::of(b"other")), None);
        assert!(matches!(wrong, Err(Error::WrongDigest { .. })));
        let mut ingest = store.ingest().unwrap();
        ingest.write_all(b"hello").unwrap();
        assert!(matches!(
            ingest.commit(None, Some(4)),
            Err(Error::WrongSize { found: 5, .. })
        ));
        assert_eq!(store.list().unwrap(), []);
        let count = std::fs::read_dir(dir.path().join("content/ingest"))
            .unwrap()
            .count();
        assert_eq!(count, 0);
        let blob = store.put(b"hello", Some(Digest::of(b"hello"))).unwrap();
        assert_eq!(store.read(blob.digest(), 5).unwrap(), b"hello");
        assert!(store.read(blob.digest(), 4).is_err());
        assert!(store.reader(Digest::of(b"none")).is_err());
    }

    #[test]
    fn blobs_live_as_long_as_someone_needs_them() {
        let dir = tempfile::tempdir().unwrap();
        let (database, store) = open(dir.path());
        let held = store.put(b"held", None).unwrap();
        let leased = store.put(b"leased", None).unwrap();
        let free = store.put(b"free", None).unwrap();
        let (held_digest, leased_digest, free_digest) =
            (held.digest(), leased.digest(), free.digest());
        for blob in [&held, &leased, &free] {
            record(&database, blob);
        }
        database
            .write(|tx| {
                gantry_metadata::leases::insert(tx, "l", "test")?;
                let kind = gantry_metadata::leases::Kind::Blob;
                gantry_metadata::leases::hold(tx, "l", kind, &leased_digest.to_string())
            })
            .unwrap();
        drop((leased, free));
        let collected = store.collect().unwrap();
        assert_eq!(collected, Collected { blobs: 1, bytes: 4 });
        assert!(!store.exists(free_digest) && store.exists(leased_digest));
        assert!(store.exists(held_digest));
        drop(held);
        assert_eq!(
            store.collect_files(Duration::from_secs(60)).unwrap().blobs,
            0
        );
        assert_eq!(store.collect_files(Duration::ZERO).unwrap().blobs, 1);
    }

    #[test]
    fn open_removes_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let (database, store) = open(dir.path());
        let kept = store.put(b"kept", None).unwrap();
        record(&database, &kept);
        drop(store.put(b"lost", None).unwrap());
        std::fs::create_dir_all(store.scratch_path().unwrap().join("a/b")).unwrap();
        std::fs::write(store.scratch_path().unwrap(), "x").unwrap();
        let digest = kept.digest();
        drop((kept, store, database));
        let (_, store) = open(dir.path());
        assert_eq!(store.list().unwrap(), [digest]);
        let count = std::fs::read_dir(dir.path().join("content/ingest"))
            .unwrap()
            .count();
        assert_eq!(count, 0);
    }

    #[test]
    fn an_adopted_file_keeps_its_first_name() {
        let dir = tempfile::tempdir().unwrap();
        let (_, store) = open(dir.path());
        let path = store.scratch_path().unwrap();
        std::fs::write(&path, "bytes").unwrap();
        let blob = store.adopt(&path, Digest::of(b"bytes"), 5).unwrap();
        assert!(path.exists() && store.exists(blob.digest()));
        drop(store.adopt(&path, Digest::of(b"bytes"), 5).unwrap());
    }
}
