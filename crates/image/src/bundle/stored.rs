//! A bundle in the store: its image as the records have it, and beside that the form it
//! leaves in again, byte for byte.

use gantry_metadata::forms::{self, PartRow};
use gantry_metadata::references;
use gantry_types::{
    ChainId, Descriptor, Digest, ImageConfig, ImageId, Index, Manifest, Platform, Reference,
    media_type,
};

use super::attested::Attested;
use super::documents::{ATTESTATION, REFERENCE_DIGEST, REFERENCE_TYPE};
use super::{Bundle, Packaged, hold};
use crate::portable::{Document, PackedLayer};
use crate::record::{self, NewImage};
use crate::store::Inner;
use crate::{ImageStore, Lease, Result};

/// How a bundle is to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'s> {
    /// Its names.
    pub references: &'s [Reference],
    /// The image that it was made from.
    pub parent: Option<ImageId>,
    /// Whether each repository of the names has its digest as a name, too.
    pub canonical: bool,
}

impl ImageStore {
    /// Records the image that this machine runs, of layers that `lease` holds, and the
    /// form of the whole; the layers are on the disk for good before that.
    ///
    /// # Errors
    /// `Damaged` when a layer is missing; `Metadata`.
    pub fn record_bundle(
        &self,
        bundle: &Bundle,
        how: Stored<'_>,
        lease: &Lease,
    ) -> Result<ImageId> {
        let inner = self.inner();
        let own = &bundle.parts[bundle.own()];
        inner.sync_those(&ChainId::chain(&own.diff_ids))?;
        let layers = inner.kept_layers(&own.diff_ids, lease)?;
        let mut names = how.references.to_vec();
        if how.canonical {
            let digest = bundle.root().digest;
            for reference in how.references {
                names.push(format!("{}@{digest}", reference.name()).parse()?);
            }
        }
        let new = NewImage {
            config: &own.config.bytes,
            layers: &layers,
            manifest: None,
            parent: how.parent,
            references: &names,
            seal: None,
        };
        let rows = rows(bundle);
        let recorded = inner.database.write_durable(|tx| -> Result<_> {
            let recorded = record::insert(tx, &new)?;
            forms::set(tx, recorded.id, &rows)?;
            Ok(recorded)
        })?;
        Ok(recorded.id)
    }

    /// Lets the digest of a bundle be a name of its image, if that is here.
    ///
    /// # Errors
    /// `Metadata`.
    pub(crate) fn name_bundle(&self, bundle: &Bundle, name: &Reference) -> Result<()> {
        let id = bundle.image();
        Ok(self
            .database()
            .write(|tx| match gantry_metadata::images::get(tx, id)? {
                Some(_) => references::set(tx, name, id).map(drop),
                None => Ok(()),
            })?)
    }
}

/// The parts of a bundle: its root, other documents, and layers that its own image does
/// not have.
fn rows(bundle: &Bundle) -> Vec<PartRow> {
    let own = bundle.own();
    let mut documents = vec![bundle.root_document()];
    let mut layers = Vec::new();
    for (number, part) in bundle.parts.iter().enumerate() {
        documents.push(&part.config);
        if bundle.index.is_some() {
            documents.push(&part.manifest);
        }
        if let Some(attested) = &part.attested {
            documents.push(&attested.manifest);
            documents.extend(&attested.blobs);
        }
        if number != own {
            layers.extend(part.layers.iter().map(|layer| layer.blob.digest()));
        }
    }
    let documents = documents.into_iter().map(|document| PartRow {
        digest: document.digest,
        media_type: document.media_type.clone(),
        bytes: Some(document.bytes.clone()),
    });
    let layers = layers.into_iter().map(|digest| PartRow {
        digest,
        media_type: String::new(),
        bytes: None,
    });
    documents.chain(layers).collect()
}

impl Inner {
    /// The form that an image was given; `None` for the plain one, and when not all of
    /// it is here any more.
    pub(crate) fn stored_bundle(&self, id: ImageId) -> Result<Option<Bundle>> {
        let rows = self.database.read(|view| forms::of_image(view, id))?;
        Ok(self.read_bundle(rows))
    }

    fn read_bundle(&self, rows: Vec<PartRow>) -> Option<Bundle> {
        let documents = rows.into_iter().filter_map(|row| {
            Some(Document {
                media_type: row.media_type,
                digest: row.digest,
                bytes: row.bytes?,
            })
        });
        let documents: Vec<Document> = documents.collect();
        let find = |digest: Digest| documents.iter().find(|one| one.digest == digest).cloned();
        let root = documents.first()?.clone();
        if !matches!(
            root.media_type.as_str(),
            media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST
        ) {
            let part = self.read_part(root, None, &find)?;
            return Bundle::of(None, vec![part]).ok();
        }
        let index: Index = serde_json::from_slice(&root.bytes).ok()?;
        let mut parts: Vec<Packaged> = Vec::new();
        for named in index.manifests {
            let manifest = find(named.digest)?;
            match attestation_of(&named) {
                None => parts.push(self.read_part(manifest, named.platform, &find)?),
                Some(of) => {
                    let mut parts = parts.iter_mut();
                    let part = parts.find(|part| part.manifest.digest.to_string() == of)?;
                    part.attested = Some(Attested::read(manifest, &|blob| find(blob.digest))?);
                }
            }
        }
        Bundle::of(Some(root), parts).ok()
    }

    fn read_part(
        &self,
        manifest: Document,
        platform: Option<Platform>,
        find: &dyn Fn(Digest) -> Option<Document>,
    ) -> Option<Packaged> {
        let named: Manifest = serde_json::from_slice(&manifest.bytes).ok()?;
        let config = find(named.config.digest)?;
        let parsed: ImageConfig = serde_json::from_slice(&config.bytes).ok()?;
        let layers = named.layers.into_iter().map(|descriptor| {
            let blob = hold(self, descriptor.digest)?;
            Some(PackedLayer { descriptor, blob })
        });
        let own = || crate::image::platform_of(&parsed);
        Some(Packaged {
            platform: platform.unwrap_or_else(own),
            layers: layers.collect::<Option<_>>()?,
            diff_ids: parsed.rootfs.diff_ids.clone(),
            config,
            manifest,
            attested: None,
        })
    }
}

/// Which manifest an index's entry attests, if any.
fn attestation_of(named: &Descriptor) -> Option<&str> {
    let words = named.annotations.as_ref()?;
    let attests = words.get(REFERENCE_TYPE).map(String::as_str) == Some(ATTESTATION);
    words
        .get(REFERENCE_DIGEST)
        .filter(|_| attests)
        .map(String::as_str)
}
