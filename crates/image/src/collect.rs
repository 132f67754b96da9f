//! What no image and no operation needs any more is removed.

use std::collections::HashSet;

use gantry_metadata::{images, leases};
use gantry_types::ChainId;

use crate::store::Inner;
use crate::{ImageStore, Result};

/// What a removal frees on the disk, where somebody wants to know: layers must be
/// walked for that.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    asked: bool,
    disk: u64,
}

impl Freed {
    pub(crate) fn asked() -> Self {
        Self {
            asked: true,
            disk: 0,
        }
    }

    pub(crate) fn unasked() -> Self {
        Self::default()
    }

    /// Bytes on the disk.
    pub(crate) fn disk(&self) -> u64 {
        self.disk
    }

    fn measure(&self, disk: impl FnOnce() -> u64) -> u64 {
        if self.asked { disk() } else { 0 }
    }

    pub(crate) fn add(&mut self, disk: u64) {
        self.disk += disk;
    }
}

impl ImageStore {
    /// Removes the layers and blobs that neither an image nor a container nor
    /// an operation needs: after the removal of a container whose image is
    /// gone, for instance. Answers the layers removed.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn collect(&self) -> Result<Vec<ChainId>> {
        self.collect_counting(&mut Freed::unasked())
    }

    pub(crate) fn collect_counting(&self, freed: &mut Freed) -> Result<Vec<ChainId>> {
        let inner = self.inner();
        let _removal = inner.removals.begin();
        let used =
            self.database()
                .read(|view| -> Result<HashSet<String>, gantry_metadata::Error> {
                    let mut used = HashSet::new();
                    for row in images::list(view)? {
                        let layers = images::layers(view, row.id)?;
                        used.extend(layers.into_iter().map(|(_, chain)| chain.to_string()));
                    }
                    Ok(used)
                })?;
        let mut removed = Vec::new();
        loop {
            // Only what nobody stands on can go; that may free what is below.
            let list = inner.snapshots.list();
            let parents: HashSet<String> = list
                .iter()
                .filter_map(|status| status.parent.clone())
                .collect();
            let free = list
                .into_iter()
                .filter(|status| status.committed)
                .filter(|status| !used.contains(&status.key) && !parents.contains(&status.key))
                .filter_map(|status| status.key.parse().ok().map(ChainId));
            let before = removed.len();
            for chain in free {
                removed.extend(inner.free_layers(&[chain], freed)?);
            }
            if removed.len() == before {
                break;
            }
        }
        freed.add(inner.content.collect_measured()?.1);
        Ok(removed)
    }
}

impl Inner {
    /// Removes those of the layers (bottom first) that nobody needs, from the
    /// top down. Answers which they were.
    pub(crate) fn collect_layers(&self, chain: &[ChainId]) -> Result<Vec<ChainId>> {
        self.free_layers(chain, &mut Freed::unasked())
    }

    /// The same; what that frees is added to `freed`.
    pub(crate) fn free_layers(&self, chain: &[ChainId], freed: &mut Freed) -> Result<Vec<ChainId>> {
        let _gate = self.gate();
        let mut removed = Vec::new();
        for id in chain.iter().rev() {
            let name = id.to_string();
            let needed = self
                .database
                .read(|view| -> Result<bool, gantry_metadata::Error> {
                    Ok(images::using_chain(view, *id)? != 0
                        || leases::is_held(view, leases::Kind::Snapshot, &name)?)
                })?;
            if needed {
                break;
            }
            let disk = freed.measure(|| self.snapshots.disk(&name).unwrap_or(0));
            match self.snapshots.remove(&name) {
                Ok(()) => {
                    self.unsynced().remove(id);
                    freed.add(disk);
                    removed.push(*id);
                }
                Err(gantry_snapshot::Error::NotFound { .. }) => {}
                Err(gantry_snapshot::Error::HasChildren { .. }) => break,
                Err(error) => {
                    tracing::warn!(layer = name, %error, "cannot remove a layer");
                    break;
                }
            }
        }
        Ok(removed)
    }
}
