//! The service of builds: what a Dockerfile and a context become.
//!
//! ```text
//!  classic   the words of `POST /build`, in the order of the file
//!  solve     a request ─► plan ─► graph ─► layers and configuration   (any client)
//!  received  what `POST /build` is given becomes a request
//!  world     images that a Dockerfile names: here, or pulled
//!  borrowed  images that only one build needs
//!  run       a command of a step, in a container like any other
//!  cache_mount   directories of commands that outlive builds
//!  export    what becomes of a result: its form, here or in a registry
//!  imports   caches of others, whose layers come when a step needs them
//!  prune     what the cache holds, and what of it goes
//!  bound     when it goes by itself
//! ```

mod agents;
mod borrowed;
mod bound;
mod cache_mount;
mod classic;
mod explain;
mod export;
mod git;
mod imports;
mod policy;
mod prune;
mod received;
mod removal;
mod request;
mod run;
mod secrets;
mod solve;
mod space;
mod squash;
mod world;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_build::Cache;
use gantry_build::contents::Index;
use gantry_image::ImageStore;
use gantry_metadata::Database;
use gantry_registry::Cancel;
use gantry_snapshot::SnapshotDriver;

pub use agents::Agents;
pub use borrowed::Borrowed;
pub use explain::reason;
pub use export::{CacheExport, Destination, Exported};
pub use imports::{CacheOrigin, CacheOrigins};
pub use policy::{BuildPolicy, CacheSpace};
pub use prune::CachePruneQuery;
pub use received::Received;
pub use request::{BuildOutput, BuildRequest, ClassicContext, ClassicQuery, Kept, StepLimits};
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
    /// What is known of the files of contexts.
    contents: PathBuf,
    store: ImageStore,
    snapshots: Arc<dyn SnapshotDriver>,
    images: Images,
    registries: Registries,
    containers: Containers,
    cache: Cache,
    /// What goes after each build.
    rules: Vec<CachePruneQuery>,
    /// What clients may allow the commands of their builds.
    entitlements: Vec<String>,
    /// Builds that somebody may want to end, by the id that their clients gave.
    running: Mutex<HashMap<String, Cancel>>,
    /// Cache directories that only one step may use at a time.
    locked: run::Locks,
    bounding: bound::Bounding,
}

/// What the service is opened with.
pub(crate) struct Parts {
    pub(crate) data_root: PathBuf,
    pub(crate) database: Arc<Database>,
    pub(crate) snapshots: Arc<dyn SnapshotDriver>,
    pub(crate) images: Images,
    pub(crate) registries: Registries,
    pub(crate) containers: Containers,
    pub(crate) policy: BuildPolicy,
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
                contents: parts.data_root.join("build-contexts"),
                store,
                snapshots: parts.snapshots,
                images: parts.images,
                registries: parts.registries,
                containers: parts.containers,
                cache,
                rules: match parts.policy.rules {
                    Some(rules) => rules,
                    None => policy::usual(&parts.data_root),
                },
                entitlements: parts.policy.entitlements,
                running: Mutex::default(),
                locked: run::Locks::default(),
                bounding: bound::Bounding::default(),
            }),
        })
    }

    /// Bytes that the cache may take; 0 when nobody has set a bound.
    pub fn bound(&self) -> u64 {
        let bounds = self.inner.rules.iter();
        let bounds = bounds.map(|rule| rule.space.max_used.max(rule.space.reserved));
        bounds.max().unwrap_or(0)
    }

    /// What of the cache goes after each build, rule by rule.
    pub fn rules(&self) -> &[CachePruneQuery] {
        &self.inner.rules
    }

    /// Checks what a client wants to allow the commands of its build.
    ///
    /// # Errors
    /// `Forbidden` for what the daemon's administrator does not allow.
    pub fn grant(&self, wanted: &[String]) -> Result<()> {
        let granted = &self.inner.entitlements;
        match wanted.iter().find(|wanted| !granted.contains(wanted)) {
            None => Ok(()),
            Some(refused) => Err(Error::Invalid(format!(
                "granting entitlement {refused} is not allowed by build daemon configuration"
            ))),
        }
    }

    /// What builds that have failed have made is kept for the next engine.
    pub(crate) fn shutdown(&self) {
        let cache = &self.inner.cache;
        if let Err(error) = cache.begin().and_then(|since| cache.settle(since)) {
            tracing::warn!(%error, "results of builds are forgotten");
        }
    }

    /// Lets a build be ended by the id that its client gave, while the answer lives.
    pub fn enlist(&self, query: &ClassicQuery, cancel: &Cancel) -> Option<Enlisted> {
        self.inner.enlist(&query.build_id, cancel)
    }

    /// What is known of the files of a directory that is built from.
    pub fn contents(&self, directory: &Path) -> Option<Index> {
        Index::open(&self.inner.contents, directory)
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
pub struct Enlisted {
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

fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", directory, error))
        }
        _ => Ok(()),
    }
}
