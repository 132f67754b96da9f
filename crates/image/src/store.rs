//! The image store: what it stands on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_content::{ContentStore, Epoch};
use gantry_metadata::{Database, images, leases};
use gantry_snapshot::SnapshotDriver;
use gantry_types::{ChainId, ImageId};

use crate::durable::Shared;
use crate::pull::Downloads;
use crate::push::Uploads;
use crate::removals::Removals;
use crate::{Error, Image, Lease, Result};

/// All images of one daemon. Cheap to clone; all methods block.
#[derive(Clone)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

/// How large foreign archives may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of an image archive, decompressed.
    pub archive_bytes: u64,
    /// Most bytes of one layer, decompressed.
    pub layer_bytes: u64,
    /// Most entries of one layer.
    pub layer_entries: u64,
}

impl Default for Limits {
    /// One tebibyte each, and 16 million entries.
    fn default() -> Self {
        Self {
            archive_bytes: 1 << 40,
            layer_bytes: 1 << 40,
            layer_entries: 16 << 20,
        }
    }
}

pub(crate) struct Inner {
    pub(crate) limits: Limits,
    pub(crate) database: Arc<Database>,
    pub(crate) content: ContentStore,
    pub(crate) snapshots: Arc<dyn SnapshotDriver>,
    /// What comes from registries just now.
    pub(crate) downloads: Downloads,
    /// And what leaves to them.
    pub(crate) uploads: Uploads,
    pub(crate) syncing: Shared,
    /// Layers of builds until the next sync.
    pub(crate) unsynced: Mutex<HashMap<ChainId, Epoch>>,
    pub(crate) removals: Removals,
    /// Held while layers are claimed and while unclaimed ones are removed, so
    /// that nobody claims what is being removed.
    gate: Mutex<()>,
}

impl ImageStore {
    /// Opens the store. Leases of a dead daemon end, and what only they held
    /// is removed.
    ///
    /// # Errors
    /// `Metadata`, `Content`.
    pub fn open(
        database: Arc<Database>,
        content: ContentStore,
        snapshots: Arc<dyn SnapshotDriver>,
    ) -> Result<Self> {
        Self::open_with(database, content, snapshots, Limits::default())
    }

    /// Like [`ImageStore::open`], with other limits than the default ones.
    ///
    /// # Errors
    /// `Metadata`, `Content`.
    pub fn open_with(
        database: Arc<Database>,
        content: ContentStore,
        snapshots: Arc<dyn SnapshotDriver>,
        limits: Limits,
    ) -> Result<Self> {
        let ended = database.write_freeing(leases::clear)?;
        if ended != 0 {
            tracing::info!(ended, "ended the leases of a dead daemon");
        }
        content.collect()?;
        Ok(Self {
            inner: Arc::new(Inner {
                limits,
                database,
                content,
                snapshots,
                downloads: Downloads::default(),
                uploads: Uploads::default(),
                syncing: Shared::default(),
                unsynced: Mutex::default(),
                removals: Removals::default(),
                gate: Mutex::new(()),
            }),
        })
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn shared(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    /// The image of that full id.
    ///
    /// # Errors
    /// `NoSuchImage`, `Damaged`, `Metadata`.
    pub fn get(&self, id: ImageId) -> Result<Image> {
        self.database().read(|view| match images::get(view, id)? {
            Some(row) => Image::load(view, row),
            None => Err(Error::NoSuchImage(id.to_string())),
        })
    }

    /// How layers are kept.
    pub fn snapshot_driver(&self) -> &'static str {
        self.inner.snapshots.name()
    }

    /// How many images there are.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn count(&self) -> Result<u64> {
        Ok(self.database().read(images::count)?)
    }

    /// Keeps an image from removal while the answer lives.
    ///
    /// # Errors
    /// `NoSuchImage`, `Metadata`.
    pub fn lease(&self, purpose: &str, id: ImageId) -> Result<Lease> {
        let lease = Lease::new(&self.inner.database, purpose)?;
        self.database().write(|tx| {
            if images::get(tx, id)?.is_none() {
                return Err(Error::NoSuchImage(id.to_string()));
            }
            leases::hold(tx, lease.id(), leases::Kind::Image, &id.to_string())?;
            Ok(())
        })?;
        Ok(lease)
    }
}

impl Inner {
    pub(crate) fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A path on the content store's file system that does not exist yet.
    pub(crate) fn scratch_path(&self) -> Result<PathBuf> {
        Ok(self.content.scratch_path()?)
    }
}

/// 32 hexadecimal digits that nobody has seen before.
pub(crate) fn random_name() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Error::Disk {
        operation: "read",
        path: Path::new("random numbers").to_owned(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}
