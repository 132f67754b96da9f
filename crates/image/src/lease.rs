//! What a running operation keeps from being collected.

use std::sync::Arc;

use gantry_metadata::{Database, leases};

use crate::Result;
use crate::store::random_name;

/// Keeps images, layers and blobs from being collected; ends when dropped.
pub struct Lease {
    database: Arc<Database>,
    id: String,
}

impl Lease {
    pub(crate) fn new(database: &Arc<Database>, purpose: &str) -> Result<Self> {
        let id = random_name()?;
        database.write(|tx| leases::insert(tx, &id, purpose))?;
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
    }
}
