//! The manifest that an image came with, and what it describes.

use gantry_metadata::images;
use gantry_types::{Descriptor, ImageId, Manifest};

use crate::{ImageStore, MAX_DOCUMENT, Result};

/// What an image's manifest says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifested {
    /// The manifest.
    pub descriptor: Descriptor,
    /// Bytes of it, of the configuration and of the layers as they are packed.
    pub content: u64,
}

impl ImageStore {
    /// The manifest of an image; none for one that was made here, or whose manifest is
    /// lost.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn manifested(&self, id: ImageId) -> Result<Option<Manifested>> {
        let row = self.database().read(|view| images::get(view, id))?;
        let Some(digest) = row.and_then(|row| row.manifest) else {
            return Ok(None);
        };
        let Ok(bytes) = self.inner().content.read(digest, MAX_DOCUMENT) else {
            return Ok(None);
        };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
            return Ok(None);
        };
        let size = bytes.len() as u64;
        let parts = manifest.layers.iter().map(|layer| layer.size);
        let content = parts.fold(
            size.saturating_add(manifest.config.size),
            u64::saturating_add,
        );
        Ok(Some(Manifested {
            descriptor: Descriptor {
                media_type: manifest
                    .media_type
                    .unwrap_or_else(|| gantry_types::media_type::OCI_MANIFEST.to_owned()),
                digest,
                size,
                platform: None,
                annotations: manifest.annotations,
                urls: None,
            },
            content,
        }))
    }
}
