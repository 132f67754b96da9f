//! What is to be sent of an image.

use gantry_metadata::{images, references};
use gantry_types::{Descriptor, DiffId, ImageId, Manifest, Reference, media_type};

use crate::portable::{self, Document};
use crate::store::Inner;
use crate::{Error, MAX_DOCUMENT, Result};

/// An image on its way out.
pub(super) struct Plan {
    pub(super) id: ImageId,
    /// The exact bytes of the configuration document.
    pub(super) config: Vec<u8>,
    /// The manifest that it came with, if it leaves with that.
    came: Option<Document>,
    /// Bottom first.
    pub(super) layers: Vec<PlannedLayer>,
}

/// A layer on its way out.
pub(super) struct PlannedLayer {
    pub(super) diff_id: DiffId,
    /// What the manifest that it came with says of it. One that leaves otherwise has
    /// none.
    pub(super) came: Option<Descriptor>,
}

impl Inner {
    /// Plans how the image of that name leaves: as it came, if that is wished and
    /// will do, or else as its blobs are here.
    pub(super) fn plan(&self, reference: &Reference, as_it_came: bool) -> Result<Plan> {
        let missing = || Error::NoTag(reference.familiar());
        let row = self.database.read(|view| -> Result<_> {
            let id = references::get(view, reference)?.ok_or_else(missing)?;
            images::get(view, id)?.ok_or_else(missing)
        })?;
        let config: gantry_types::ImageConfig =
            serde_json::from_slice(&row.config).map_err(|error| Error::Damaged {
                id: row.id.0,
                reason: error.to_string(),
            })?;
        let diff_ids = config.rootfs.diff_ids;
        let came = as_it_came
            .then(|| self.came_with(&row, diff_ids.len()))
            .flatten();
        let mut named = came.as_ref().map(|(_, manifest)| manifest.layers.iter());
        let layers = diff_ids
            .into_iter()
            .map(|diff_id| PlannedLayer {
                diff_id,
                came: named.as_mut().and_then(Iterator::next).cloned(),
            })
            .collect();
        Ok(Plan {
            id: row.id,
            config: row.config,
            came: came.map(|(document, _)| document),
            layers,
        })
    }

    /// The manifest that an image came with, if it may leave again so: registries
    /// are not given layers that are not packed (as Docker's archives have them).
    fn came_with(&self, row: &images::ImageRow, layers: usize) -> Option<(Document, Manifest)> {
        let digest = row.manifest?;
        let bytes = self.content.read(digest, MAX_DOCUMENT).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        let plain = [media_type::OCI_LAYER, media_type::DOCKER_LAYER];
        let packed = |layer: &Descriptor| !plain.contains(&layer.media_type.as_str());
        let fits = manifest.config.digest == row.id.0
            && manifest.layers.len() == layers
            && manifest.layers.iter().all(packed);
        let oci = || media_type::OCI_MANIFEST.to_owned();
        let document = Document {
            media_type: manifest.media_type.clone().unwrap_or_else(oci),
            digest,
            bytes,
        };
        fits.then_some((document, manifest))
    }
}

impl Plan {
    /// A plan for what has its manifest already.
    pub(super) fn of(config: Document, manifest: Document, layers: Vec<PlannedLayer>) -> Self {
        Self {
            id: ImageId(config.digest),
            config: config.bytes,
            came: Some(manifest),
            layers,
        }
    }

    /// The lowest layer that has the same bytes as this one.
    pub(super) fn first_like(&self, index: usize) -> usize {
        let same = |layer: &PlannedLayer| layer.diff_id == self.layers[index].diff_id;
        self.layers.iter().position(same).unwrap_or(index)
    }

    /// The manifest, given how the layers are called now.
    pub(super) fn manifest(self, layers: &[Descriptor]) -> Result<Document> {
        match self.came {
            Some(came) => Ok(came),
            None => portable::manifest_of(&self.config, layers),
        }
    }
}
