//! What the registry keeps: records in `metadata.db`, blobs in `content/`, and
//! uploads that go on after a restart in `uploads/`. All of it blocks.
//!
//! Order of every change that is acknowledged: bytes are written and synced, then
//! one durable transaction says that they count.

mod collect;
mod lock;
mod manifests;
mod uploads;

use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_content::ContentStore;
use gantry_metadata::registry::{blobs, repositories};
use gantry_metadata::{Database, View, now};
use gantry_types::Digest;

use crate::failure::{Code, Failure, Result};

pub(crate) use collect::Patience;
pub(crate) use manifests::{Reference, digest};
pub(crate) use uploads::{Partial, Session, Uploads};

/// A blob of which somebody asks may be needed by a manifest that is about to be
/// pushed: it counts as used again, but not more often than this (nanoseconds).
const TOUCH_EVERY: i64 = 60_000_000_000;

/// A registry's data. Shared by all requests.
pub(crate) struct Store {
    pub(crate) database: Arc<Database>,
    pub(crate) content: ContentStore,
    pub(crate) uploads: Uploads,
    root: PathBuf,
    _lock: File,
}

impl Store {
    /// Opens the data below `root`, making them where needed.
    ///
    /// # Errors
    /// When another process uses them, or the disk does not want.
    pub(crate) fn open(root: &Path) -> std::result::Result<Self, String> {
        let at =
            |what: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", what.display());
        let uploads = root.join("uploads");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&uploads)
            .map_err(|error| at(&uploads, &error))?;
        let lock = lock::take(&root.join("lock"))?;
        let database =
            Database::open(root.join("metadata.db")).map_err(|error| error.to_string())?;
        let database = Arc::new(database);
        let content = ContentStore::open(root.join("content"), Arc::clone(&database))
            .map_err(|error| error.to_string())?;
        let uploads = Uploads::open(uploads, Arc::clone(&database))?;
        Ok(Self {
            database,
            content,
            uploads,
            root: root.to_owned(),
            _lock: lock,
        })
    }

    /// Where the data are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The length of a blob of the repository.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN`.
    pub(crate) fn blob_size(&self, repository: &str, digest: Digest) -> Result<u64> {
        let found = self
            .database
            .read(|view| blobs::get(view, repository, digest))?;
        let found = found.ok_or_else(|| unknown_blob(digest))?;
        if !found.needed && now() - found.used_at > TOUCH_EVERY {
            // Best effort on a full disk: the answer is right all the same.
            let touched: Result<()> = self.database.write(|tx| {
                if let Some(id) = repositories::find(tx, repository)?
                    && blobs::get(tx, repository, digest)?.is_some()
                {
                    blobs::link(tx, id, digest)?;
                }
                Ok(())
            });
            drop(touched);
        }
        Ok(found.size)
    }

    /// Gives `repository` the blob that `allowed` repositories have; whether one has.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn mount(
        &self,
        repository: &str,
        digest: Digest,
        from: Option<&str>,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<bool> {
        let has = |view: &View<'_>| -> Result<bool> {
            if let Some(from) = from {
                return Ok(allowed(from) && blobs::get(view, from, digest)?.is_some());
            }
            let names = blobs::repositories(view, digest, MOST_SOURCES)?;
            Ok(names.iter().any(|name| allowed(name)))
        };
        if !self.database.read(has)? {
            return Ok(false);
        }
        self.database.write_durable(|tx| {
            // It may have gone since.
            let there = has(tx)?;
            if there {
                let id = repositories::ensure(tx, repository)?;
                blobs::link(tx, id, digest)?;
            }
            Ok(there)
        })
    }

    /// Takes a blob from the repository.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN`.
    pub(crate) fn delete_blob(&self, repository: &str, digest: Digest) -> Result<()> {
        let deleted = self
            .database
            .write_freeing_durable(|tx| blobs::unlink(tx, repository, digest))?;
        match deleted {
            true => Ok(()),
            false => Err(unknown_blob(digest)),
        }
    }
}

/// How many repositories with a blob are looked at when none is named.
const MOST_SOURCES: u64 = 1000;

fn unknown_blob(digest: Digest) -> Failure {
    Failure::new(Code::BlobUnknown).detail(digest.to_string())
}
