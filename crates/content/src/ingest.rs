//! A blob that is being written.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_types::{Digest, Hasher};

use crate::store::Inner;
use crate::{Blob, Epoch, Error};

/// A blob that is being written: [`Write`] its bytes, then [`commit`](Self::commit).
/// Dropped before that, it leaves nothing behind.
pub struct Ingest {
    inner: Arc<Inner>,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    epoch: Epoch,
}

impl Ingest {
    pub(crate) fn create(inner: Arc<Inner>) -> Result<Self, Error> {
        let (epoch, path) = (inner.epochs.now(), inner.scratch_path()?);
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(Error::disk("create", &path))?;
        Ok(Self {
            inner,
            path,
            file,
            hasher: Hasher::new(),
            size: 0,
            epoch,
        })
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of the bytes written so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Makes the bytes visible under their digest, on the disk for good.
    ///
    /// # Errors
    /// `WrongDigest` or `WrongSize` when they are not what is expected, and
    /// `Disk`; nothing is left then.
    pub fn commit(
        self,
        expected: Option<Digest>,
        expected_size: Option<u64>,
    ) -> Result<Blob, Error> {
        let found = self.hasher.clone().finish();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Error::WrongDigest { expected, found });
        }
        if let Some(expected) = expected_size.filter(|expected| *expected != self.size) {
            return Err(Error::WrongSize {
                digest: found,
                expected,
                found: self.size,
            });
        }
        self.inner
            .publish(&self.path, found, self.size, self.epoch, false)?
            .synced()
    }

    /// The same as [`commit`](Self::commit) of any bytes, in the place of a file that
    /// has their digest for a name and is damaged.
    ///
    /// # Errors
    /// `Disk`; nothing is left then.
    pub fn commit_anew(self) -> Result<Blob, Error> {
        let found = self.hasher.clone().finish();
        self.inner
            .publish(&self.path, found, self.size, self.epoch, true)?
            .synced()
    }

    /// Makes the bytes visible under their digest; on the disk for good only after
    /// the next [`ContentStore::sync`](crate::ContentStore::sync).
    ///
    /// # Errors
    /// `Disk`; nothing is left then.
    pub fn commit_unsynced(self) -> Result<Blob, Error> {
        let digest = self.hasher.clone().finish();
        self.inner
            .publish(&self.path, digest, self.size, self.epoch, false)
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "an ingest stays behind")
            }
        }
    }
}
