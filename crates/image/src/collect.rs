//! What no image and no operation needs any more is removed.

use std::collections::HashSet;

use gantry_metadata::{images, leases};
use gantry_types::ChainId;

use crate::store::Inner;
use crate::{ImageStore, Result};

impl ImageStore {
    /// Removes the layers and blobs that neither an image nor a container nor
    /// an operation needs: after the removal of a container whose image is
    /// gone, for instance. Answers the layers removed.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn collect(&self) -> Result<Vec<ChainId>> {
        let inner = self.inner();
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
                removed.extend(inner.collect_layers(&[chain])?);
            }
            if removed.len() == before {
                break;
            }
        }
        inner.content.collect()?;
        Ok(removed)
    }
}

impl Inner {
    /// Removes those of the layers (bottom first) that nobody needs, from the
    /// top down. Answers which they were.
    pub(crate) fn collect_layers(&self, chain: &[ChainId]) -> Result<Vec<ChainId>> {
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
            match self.snapshots.remove(&name) {
                Ok(()) => removed.push(*id),
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
