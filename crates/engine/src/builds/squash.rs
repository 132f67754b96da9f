//! `--squash`: all new layers of a result become one, in Docker's way of telling it.

use gantry_api::rfc3339_nano;
use gantry_build::dockerfile::StageBase;
use gantry_types::{Digest, History};

use super::{Builds, Inner, Solved};
use crate::error::{Error, Result};

impl Builds {
    /// Makes one layer of all that a result has above its base.
    ///
    /// # Errors
    /// When the layer cannot be made.
    pub fn squash(&self, solved: &mut Solved) -> Result<()> {
        self.inner.squash(solved)
    }
}

impl Inner {
    pub(super) fn squash(&self, solved: &mut Solved) -> Result<()> {
        let stage = solved.plan.stages.get(solved.plan.target);
        let (parent, below, kept) = match stage.map(|stage| &stage.base) {
            Some(StageBase::Image(base)) => {
                let layers = base.config.rootfs.diff_ids.clone();
                (Some(base.id), layers, base.config.history.len())
            }
            _ => (None, Vec::new(), 0),
        };
        let all = &solved.config.rootfs.diff_ids;
        if !all.starts_with(&below) {
            let text = "squash of an image that does not stand on its base";
            return Err(Error::Unsupported(text.to_owned()));
        }
        let json = serde_json::to_vec(&solved.config)
            .map_err(|error| Error::Failed(format!("image configuration: {error}")))?;
        let id = Digest::of(&json);
        let layer = self.store.squash_layers(&below, all, &solved.lease)?;
        let config = &mut solved.config;
        config.rootfs.diff_ids = below;
        config
            .rootfs
            .diff_ids
            .extend(layer.map(|layer| layer.diff_id));
        for step in config.history.iter_mut().skip(kept) {
            step.empty_layer = true;
        }
        let created = match config.created.take() {
            Some(created) if solved.reproducible => created,
            _ => rfc3339_nano(gantry_metadata::now()),
        };
        config.created = Some(created.clone());
        config.history.push(History {
            created: Some(created),
            comment: Some(match parent {
                Some(parent) => format!("merge {id} to {parent}"),
                None => format!("create new from {id}"),
            }),
            empty_layer: layer.is_none(),
            ..History::default()
        });
        Ok(())
    }
}
