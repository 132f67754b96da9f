//! The service of builds: what a Dockerfile and a context become.
//!
//! ```text
//!  classic   the words of `POST /build`, in the order of the file
//!  solve     a request ─► plan ─► graph ─► layers and configuration   (any client)
//!  world     images that a Dockerfile names: here, or pulled
//!  run       a command of a step, in a container like any other
//!  cache_mount   directories of commands that outlive builds
//!  export    what becomes of a result: its form, here or in a registry
//!  prune     what the cache holds, and what of it goes
//! ```

mod cache_mount;
mod classic;
mod explain;
mod export;
mod git;
mod prune;
mod request;
mod run;
mod secrets;
mod solve;
mod space;
mod world;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gantry_build::Cache;
use gantry_image::ImageStore;
use gantry_metadata::Database;
use gantry_registry::Cancel;
use gantry_snapshot::SnapshotDriver;

pub use export::{Destination, Exported};
pub use prune::CachePruneQuery;
pub use request::{BuildRequest, ClassicQuery, StepLimits};
pub use solve::{BuildEvent, Solved};
pub use space::Space;

use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::registries::Registries;

/// The service of builds. Cheap to clone.
#[derive(Clone)]
pub struct Builds {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    directory: PathBuf,
    caches: PathBuf,
    store: ImageStore,
    snapshots: Arc<dyn SnapshotDriver>,
    images: Images,
    registries: Registries,
    containers: Containers,
    cache: Cache,
    /// Bytes that the cache may take.
    most: u64,
    /// Builds that somebody may want to end, by the id that their clients gave.
    running: Mutex<HashMap<String, Cancel>>,
    /// Cache directories that only one step may use at a time.
    locked: run::Locks,
}

/// What the service is opened with.
pub(crate) struct Parts {
    pub(crate) data_root: PathBuf,
    pub(crate) database: Arc<Database>,
    pub(crate) snapshots: Arc<dyn SnapshotDriver>,
    pub(crate) images: Images,
    pub(crate) registries: Registries,
    pub(crate) containers: Containers,
}

impl Builds {
    /// Opens the service: what builds of the last engine have left is removed.
    ///
    /// # Errors
    /// When directories or records cannot be read.
    pub(crate) fn open(parts: Parts) -> Result<Self> {
        parts.containers.end_steps();
        let directory = parts.data_root.join("builds");
        remove(&directory)?;
        let store = parts.images.store().clone();
        let cache = Cache::open(&parts.database, &store, &parts.snapshots)?;
        Ok(Self {
            inner: Arc::new(Inner {
                directory,
                caches: parts.data_root.join("build-caches"),
                store,
                snapshots: parts.snapshots,
                images: parts.images,
                registries: parts.registries,
                containers: parts.containers,
                cache,
                most: prune::most(&parts.data_root),
                running: Mutex::default(),
                locked: run::Locks::default(),
            }),
        })
    }

    /// Ends the build that its client has called so.
    ///
    /// # Errors
    /// `Invalid` without an id.
    pub fn cancel(&self, id: &str) -> Result<()> {
        if id.is_empty() {
            return Err(Error::Invalid("build ID not provided".to_owned()));
        }
        let running = self.inner.running.lock();
        let running = running.unwrap_or_else(PoisonError::into_inner);
        if let Some(cancel) = running.get(id) {
            cancel.cancel();
        }
        Ok(())
    }
}

impl Inner {
    /// Lets a build be ended by the id of its client while the answer lives.
    fn enlist(self: &Arc<Self>, id: &str, cancel: &Cancel) -> Option<Enlisted> {
        if id.is_empty() {
            return None;
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(id.to_owned(), cancel.clone());
        Some(Enlisted {
            inner: Arc::clone(self),
            id: id.to_owned(),
        })
    }
}

/// A build that can be ended by its id.
struct Enlisted {
    inner: Arc<Inner>,
    id: String,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let running = self.inner.running.lock();
        running
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

fn remove(directory: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", directory, error))
        }
        _ => Ok(()),
    }
}
