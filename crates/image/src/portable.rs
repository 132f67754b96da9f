//! An image as it is outside: a manifest, a configuration and packed layers.
//!
//! What came with a manifest leaves with the same one, byte for byte, as long as
//! all its blobs are here. For all others a manifest is made of the blobs that
//! hold their layers; the same image gives the same manifest.

use gantry_content::Blob;
use gantry_metadata::{View, images, layers};
use gantry_types::{Descriptor, DiffId, Digest, Manifest, media_type};

use crate::save::entries::Source;
use crate::store::Inner;
use crate::{Error, Image, MAX_DOCUMENT, Result};

/// An image that can be given away. Its blobs are kept while this lives.
pub(crate) struct Portable {
    pub(crate) image: Image,
    /// The exact bytes of the configuration document.
    pub(crate) config: Vec<u8>,
    /// The manifest as it names the configuration and the layers.
    pub(crate) manifest: Document,
    /// Bottom first.
    pub(crate) layers: Vec<PortableLayer>,
}

/// A layer as a manifest names it, and where it comes from.
pub(crate) type PortableLayer = (Descriptor, Source);

/// A manifest's bytes, or another document's.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Document {
    pub(crate) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        descriptor(&self.media_type, self.digest, self.bytes.len() as u64)
    }
}

/// A layer and the blob that holds it.
pub(crate) struct PackedLayer {
    pub(crate) descriptor: Descriptor,
    pub(crate) blob: Blob,
}

impl Inner {
    /// The image of a record as it came, or else as its blobs are here.
    pub(crate) fn portable(&self, view: &View<'_>, row: images::ImageRow) -> Result<Portable> {
        let config = row.config.clone();
        let manifest = row.manifest;
        let image = Image::load(view, row)?;
        if let Some((manifest, layers)) =
            manifest.and_then(|digest| self.as_it_came(&image, digest))
        {
            return Ok(Portable {
                image,
                config,
                manifest,
                layers,
            });
        }
        let mut layers = Vec::with_capacity(image.diff_ids.len());
        for diff_id in &image.diff_ids {
            layers.push(self.packed(view, &image, *diff_id)?);
        }
        let named: Vec<Descriptor> = layers.iter().map(|layer| layer.0.clone()).collect();
        let manifest = manifest_of(&config, &named)?;
        Ok(Portable {
            image,
            config,
            manifest,
            layers,
        })
    }

    /// The manifest that the image came with, if it and all its layers are still here.
    fn as_it_came(&self, image: &Image, digest: Digest) -> Option<(Document, Vec<PortableLayer>)> {
        let bytes = self.content.read(digest, MAX_DOCUMENT).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        if manifest.config.digest != image.id.0 || manifest.layers.len() != image.diff_ids.len() {
            return None;
        }
        let mut layers = Vec::with_capacity(manifest.layers.len());
        for descriptor in manifest.layers {
            let blob = self.content.hold(descriptor.digest).ok()?;
            layers.push((descriptor, Source::Blob(blob)));
        }
        let oci = || media_type::OCI_MANIFEST.to_owned();
        let document = Document {
            media_type: manifest.media_type.unwrap_or_else(oci),
            digest,
            bytes,
        };
        Some((document, layers))
    }

    /// The first blob that holds the layer and is still there; one that is packed, if
    /// there is one. What was made here leaves as it is.
    fn packed(&self, view: &View<'_>, image: &Image, diff_id: DiffId) -> Result<PortableLayer> {
        let mut rows = layers::by_diff_id(view, diff_id)?;
        gantry_types::sort::by_key(&mut rows, |row| {
            oci_layer(&row.media_type) == media_type::OCI_LAYER
        });
        let found = rows.into_iter().find_map(|row| {
            let blob = self.content.hold(row.blob).ok()?;
            let descriptor = descriptor(oci_layer(&row.media_type), row.blob, blob.size());
            Some((descriptor, Source::Blob(blob)))
        });
        if let Some(found) = found {
            return Ok(found);
        }
        let made = self.made(view, diff_id, None)?;
        let made = made.ok_or_else(|| Error::Damaged {
            id: image.id.0,
            reason: format!("layer {diff_id} is missing"),
        })?;
        let descriptor = descriptor(media_type::OCI_LAYER, diff_id.0, made.archive);
        Ok((descriptor, Source::Made(made)))
    }
}

/// The OCI manifest of these documents and layers.
pub(crate) fn manifest_of(config: &[u8], layers: &[Descriptor]) -> Result<Document> {
    let size = config.len() as u64;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: descriptor(media_type::OCI_CONFIG, Digest::of(config), size),
        layers: layers.to_vec(),
        annotations: None,
    };
    let bytes = serde_json::to_vec(&manifest)
        .map_err(|error| Error::Invalid(format!("image manifest: {error}")))?;
    Ok(Document {
        media_type: media_type::OCI_MANIFEST.to_owned(),
        digest: Digest::of(&bytes),
        bytes,
    })
}

/// A descriptor of nothing but bytes.
pub(crate) fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: None,
        urls: None,
    }
}

/// What an OCI manifest calls a layer: Docker's words have no place in it.
pub(crate) fn oci_layer(kind: &str) -> &str {
    match kind {
        media_type::DOCKER_LAYER => media_type::OCI_LAYER,
        media_type::DOCKER_LAYER_GZIP => media_type::OCI_LAYER_GZIP,
        other => other,
    }
}
