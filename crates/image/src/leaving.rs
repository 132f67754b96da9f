//! Layers on their way out, though their image may be removed meanwhile.

use gantry_metadata::{images, layers, leases};
use gantry_types::{ChainId, DiffId};

use crate::lease::Lease;
use crate::{ImageStore, Result};

/// Keeps what layers can be packed of: their blobs, and the snapshots of those that were
/// made here. What nobody else has by the end is removed then: the removal of its image
/// could not take it along.
pub(crate) struct Leaving {
    store: ImageStore,
    lease: Option<Lease>,
    diff_ids: Vec<DiffId>,
    /// The snapshots that were an image's.
    chains: Vec<ChainId>,
}

impl Leaving {
    pub(crate) fn new(store: &ImageStore, purpose: &str, diff_ids: Vec<DiffId>) -> Result<Self> {
        let inner = store.inner();
        let mut all = Self {
            lease: None,
            diff_ids,
            chains: Vec::new(),
            store: store.clone(),
        };
        let lease = all.lease.insert(Lease::new(&inner.database, purpose)?);
        let gate = inner.gate();
        all.chains = inner.database.write(|tx| -> Result<_> {
            let mut chains = Vec::new();
            for diff_id in &all.diff_ids {
                leases::hold_layer(tx, lease.id(), *diff_id)?;
                for row in layers::made(tx, *diff_id)? {
                    let name = row.chain.to_string();
                    leases::hold(tx, lease.id(), leases::Kind::Snapshot, &name)?;
                    if images::using_chain(tx, row.chain)? != 0 {
                        chains.push(row.chain);
                    }
                }
            }
            Ok(chains)
        })?;
        drop(gate);
        Ok(all)
    }

    /// Whether an image of some of it was removed meanwhile.
    fn is_left(&self) -> Result<bool> {
        self.store.database().read(|view| {
            for diff_id in &self.diff_ids {
                if images::with_layer(view, *diff_id)?.is_empty() {
                    return Ok(true);
                }
            }
            for chain in &self.chains {
                if images::using_chain(view, *chain)? == 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let _removal = self.store.removal();
        drop(self.lease.take());
        let collected = self.is_left().and_then(|left| match left {
            true => self.store.collect().map(drop),
            false => Ok(()),
        });
        if let Err(error) = collected {
            tracing::warn!(%error, "layers that have left stay until something is removed");
        }
    }
}
