//! A blob that is being written.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_types::{Digest, Hasher};

use crate::store::Inner;
use crate::verify::hashed;
use crate::{Blob, Epoch, Error};

/// A blob that is being written: [`Write`] its bytes, then [`commit`](Self::commit).
/// Dropped before that, it leaves nothing behind.
pub struct Ingest {
    draft: Draft,
    hasher: Hasher,
}

/// The same, whose digest somebody else computes: bytes are not hashed twice.
pub struct Draft {
    inner: Arc<Inner>,
    path: PathBuf,
    file: File,
    size: u64,
    epoch: Epoch,
}

impl Draft {
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
            size: 0,
            epoch,
        })
    }

    /// Makes the bytes visible under their digest; on the disk for good only after
    /// the next [`ContentStore::sync`](crate::ContentStore::sync).
    ///
    /// # Errors
    /// `Disk`; nothing is left then.
    pub fn commit_as(self, digest: Digest) -> Result<Blob, Error> {
        self.publish(digest, false)
    }

    /// Makes the bytes visible under their digest, on the disk for good, in the place of
    /// a file that has it for a name and is damaged.
    ///
    /// # Errors
    /// `Disk`; nothing is left then.
    pub fn commit_anew_as(self, digest: Digest) -> Result<Blob, Error> {
        self.publish(digest, true)?.synced()
    }

    fn publish(&self, digest: Digest, anew: bool) -> Result<Blob, Error> {
        self.inner
            .publish(&self.path, digest, self.size, self.epoch, anew)
    }
}

impl Ingest {
    pub(crate) fn create(inner: Arc<Inner>) -> Result<Self, Error> {
        Ok(Self {
            draft: Draft::create(inner)?,
            hasher: Hasher::new(),
        })
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.draft.size
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
        let mut found = self.digest();
        // It was not known by what it would be named.
        if let Some(expected) = expected.filter(|one| one.algorithm() != found.algorithm()) {
            found = File::open(&self.draft.path)
                .and_then(|mut file| hashed(&mut file, expected.hasher()))
                .map_err(Error::disk("read", &self.draft.path))?;
        }
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Error::WrongDigest {
                expected,
                found: Box::new(found),
            });
        }
        if let Some(expected) = expected_size.filter(|expected| *expected != self.size()) {
            return Err(Error::WrongSize {
                digest: found,
                expected,
                found: self.size(),
            });
        }
        self.draft.publish(found, false)?.synced()
    }

    /// Makes the bytes visible under their digest; on the disk for good only after
    /// the next [`ContentStore::sync`](crate::ContentStore::sync).
    ///
    /// # Errors
    /// `Disk`; nothing is left then.
    pub fn commit_unsynced(self) -> Result<Blob, Error> {
        self.draft.publish(self.digest(), false)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.draft.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "an ingest stays behind")
            }
        }
    }
}
