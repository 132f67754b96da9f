//! Garbage collection, while requests are served.
//!
//! What a push has sent and not yet said what it is for must stay. So a blob goes
//! only when no manifest of its repository needs it and nobody has pushed, mounted
//! or looked for it in some time; that is decided in one transaction, and a manifest
//! that needs it is taken, or refused, in another one: either the manifest comes
//! first and the blob stays, or the blob goes first and the manifest is refused.

use std::time::Duration;

use gantry_content::Collected;
use gantry_metadata::now;
use gantry_metadata::registry::{blobs, manifests, repositories};

use super::Store;
use crate::failure::Result;
use crate::metrics::METRICS;

/// What is garbage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// What is younger stays in any case.
    pub(crate) grace: Duration,
    /// Whether manifests without a tag are garbage too.
    pub(crate) untagged: bool,
    /// Whether what nobody has pulled for so long is garbage: in a cache.
    pub(crate) unused: Option<Duration>,
}

impl Store {
    /// Removes what nobody needs.
    ///
    /// # Errors
    /// Those of the database; what is removed by then stays removed.
    pub(crate) fn collect(&self, patience: Patience) -> Result<Collected> {
        let ago = |age: Duration| {
            let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
            now().saturating_sub(age)
        };
        let before = ago(patience.grace);
        self.database.write_freeing(|tx| {
            if let Some(unused) = patience.unused {
                manifests::delete_unused(tx, ago(unused))?;
            }
            // Each step sets free what only the step before has needed.
            while patience.untagged && manifests::delete_untagged(tx, before)? > 0 {}
            blobs::unlink_unneeded(tx, before)?;
            repositories::delete_empty(tx)
        })?;
        let mut collected = self.content.collect()?;
        let files = self.content.collect_files(patience.grace)?;
        collected.blobs += files.blobs;
        collected.bytes += files.bytes;
        METRICS.collections.add(1);
        METRICS.collected_blobs.add(collected.blobs);
        METRICS.collected_bytes.add(collected.bytes);
        Ok(collected)
    }
}
