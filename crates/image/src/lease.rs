//! What a running operation keeps from being collected.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_metadata::{Database, leases};

use crate::Result;
use crate::store::random_name;

/// The ids of the leases that somebody has in this process.
static LIVING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub(crate) fn living() -> MutexGuard<'static, BTreeSet<String>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps images, layers and blobs from being collected; ends when dropped.
pub struct Lease {
    database: Arc<Database>,
    id: String,
}

impl Lease {
    pub(crate) fn new(database: &Arc<Database>, purpose: &str) -> Result<Self> {
        let id = random_name()?;
        living().insert(id.clone());
        let inserted: Result<(), gantry_metadata::Error> =
            database.write(|tx| leases::insert(tx, &id, purpose));
        if let Err(error) = inserted {
            living().remove(&id);
            return Err(error.into());
        }
        Ok(Self {
            database: Arc::clone(database),
            id,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let ended = self
            .database
            .write_freeing(|tx| leases::delete(tx, &self.id));
        if let Err::<bool, gantry_metadata::Error>(error) = ended {
            tracing::warn!(%error, "a lease stays until the next start");
        }
        living().remove(&self.id);
    }
}
