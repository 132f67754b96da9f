//! Layers on others than those that they were made on: what is joined by builds.

use std::io::BufReader;

use gantry_content::Epoch;
use gantry_types::{ChainId, DiffId};

use crate::lease::Lease;
use crate::unpack::Unpacking;
use crate::{Error, ImageStore, MAX_LAYERS, Result};

impl ImageStore {
    /// Puts layers on each other, bottom first, as far as that is not done; the lease
    /// holds them then. They are not synced, and as old as what was begun `since` then.
    ///
    /// # Errors
    /// `Damaged` when the bytes of one are missing or others; `Invalid` for too many;
    /// `Content` when a sync has failed since one of them was made.
    pub fn stack(&self, layers: &[DiffId], lease: &Lease, since: Epoch) -> Result<()> {
        if layers.len() > MAX_LAYERS {
            return Err(Error::Invalid("max depth exceeded".to_owned()));
        }
        let inner = self.inner();
        let chains = ChainId::chain(layers);
        let held = inner.claim_unsynced(&chains, lease)?;
        inner.may_be_synced(&chains)?;
        let kept = inner.kept_layers(layers, lease)?;
        let mut below = None;
        for ((chain, held), layer) in chains.iter().zip(held).zip(&kept) {
            if !held {
                let active = Unpacking::create(inner, below)?;
                let made = match &layer.blob {
                    Some((blob, _)) => {
                        let file = inner.content.reader(blob.digest())?;
                        let found = inner.apply(active.key(), BufReader::new(file))?.diff_id;
                        if found != layer.diff_id {
                            return Err(Error::Damaged {
                                id: blob.digest(),
                                reason: format!(
                                    "it unpacks to {found}, expected {}",
                                    layer.diff_id
                                ),
                            });
                        }
                        None
                    }
                    None => {
                        let made = inner
                            .database
                            .read(|view| inner.made(view, layer.diff_id, None))?;
                        let made = made.ok_or(Error::NotHere(layer.diff_id))?;
                        made.read(|archive| inner.apply(active.key(), archive))?;
                        Some(made)
                    }
                };
                let archive = made.map_or(0, |made| made.archive);
                let _gate = inner.gate();
                inner.record_layers(std::slice::from_ref(layer), Some((*chain, archive)), lease)?;
                inner.commit_soon(active, *chain, below, since)?;
            }
            below = Some(*chain);
        }
        Ok(())
    }
}
