//! Layers on others than those that they were made on: what is joined by builds.

use std::io::BufReader;

use gantry_archive::compression::{Decoder, Limits};
use gantry_content::Epoch;
use gantry_metadata::leases;
use gantry_types::{ChainId, DiffId};

use crate::lease::Lease;
use crate::unpack::Unpacking;
use crate::{Error, ImageStore, MAX_LAYERS, Result};

impl ImageStore {
    /// Puts layers on each other, bottom first, as far as that is not done; the lease
    /// holds them then. They are not synced, and as old as what was begun `since` then.
    ///
    /// # Errors
    /// `Damaged` when the bytes of one are missing; `Invalid` for too many.
    pub fn stack(&self, layers: &[DiffId], lease: &Lease, since: Epoch) -> Result<()> {
        if layers.len() > MAX_LAYERS {
            return Err(Error::Invalid("max depth exceeded".to_owned()));
        }
        let inner = self.inner();
        let chains = ChainId::chain(layers);
        let held = inner.claim_unsynced(&chains, lease)?;
        let kept = inner.kept_layers(layers, lease)?;
        let mut below = None;
        for ((chain, held), layer) in chains.iter().zip(held).zip(&kept) {
            if !held {
                let active = Unpacking::create(inner, below)?;
                let blob = inner.content.reader(layer.blob.digest())?;
                let decoder = Decoder::new(blob, Limits::default())?;
                inner.apply(active.key(), BufReader::new(decoder))?;
                let _gate = inner.gate();
                let name = chain.to_string();
                inner
                    .database
                    .write(|tx| leases::hold(tx, lease.id(), leases::Kind::Snapshot, &name))?;
                inner.commit_soon(active, *chain, below, since)?;
            }
            below = Some(*chain);
        }
        Ok(())
    }
}
