//! The archive as Docker writes it since 25: an OCI layout, with the documents of
//! older readers beside it.
//!
//! ```text
//!  blobs/sha256/<hex>   manifests, configurations, layers
//!  index.json           OCI: one descriptor for each name
//!  manifest.json        Docker 1.10: configuration, names, layers of each image
//!  oci-layout
//!  repositories         Docker before: repository → tag → topmost layer
//! ```
//!
//! Two things of Docker's are not written. `LayerSources`: Docker would take the
//! descriptor of a packed layer for that of its unpacked one, and write it into
//! its own archives. The documents of Docker 1.9 (one for each layer), which
//! nothing in the archive refers to.

use std::collections::BTreeMap;

use gantry_archive::tar::Timestamp;
use gantry_types::{ImageId, Index, media_type};
use serde::Serialize;

use super::Chosen;
use super::entries::{Entries, Source, created};
use crate::portable::descriptor;
use crate::store::Inner;
use crate::{Error, Result};

const LAYOUT: &str = r#"{"imageLayoutVersion": "1.0.0"}"#;
const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An image in `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    pub(super) config: String,
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<ImageId>,
}

/// `repositories`: what each tag stands for.
pub(super) type Repositories = BTreeMap<String, BTreeMap<String, String>>;

/// All files of the archive.
pub(super) fn entries(inner: &Inner, images: Vec<Chosen>) -> Result<Entries> {
    let mut entries = Entries::new(inner.content.clone(), inner.layer_limits());
    let mut index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: Vec::new(),
        annotations: None,
    };
    let mut items = Vec::new();
    let mut repositories = Repositories::new();
    let ids: Vec<ImageId> = images
        .iter()
        .map(|chosen| chosen.portable.image.id)
        .collect();
    for chosen in images {
        describe(&chosen, &mut index);
        items.push(item(&chosen, &ids));
        let layers = &chosen.portable.layers;
        if let Some(top) = layers.last() {
            name(&mut repositories, &chosen, &top.0.digest.hex());
        }
        add_blobs(&mut entries, chosen);
    }
    let mut add = |name: &str, bytes| {
        entries.add(name.to_owned(), Source::Bytes(bytes), Timestamp::default());
    };
    add("index.json", json(&index)?);
    add("manifest.json", line(&items)?);
    add("oci-layout", LAYOUT.into());
    if !repositories.is_empty() {
        add("repositories", line(&repositories)?);
    }
    Ok(entries)
}

/// Names the image in the index; once even when it has no name.
fn describe(chosen: &Chosen, index: &mut Index) {
    let manifest = &chosen.portable.manifest;
    let size = manifest.bytes.len() as u64;
    let plain = descriptor(&manifest.media_type, manifest.digest, size);
    if chosen.references.is_empty() {
        index.manifests.push(plain.clone());
    }
    for reference in &chosen.references {
        let mut named = plain.clone();
        named.annotations = Some(gantry_types::sort::map([
            (IMAGE_NAME.to_owned(), reference.to_string()),
            (
                REF_NAME.to_owned(),
                reference.tag().unwrap_or_default().to_owned(),
            ),
        ]));
        index.manifests.push(named);
    }
}

fn item(chosen: &Chosen, ids: &[ImageId]) -> Item {
    let portable = &chosen.portable;
    let layers = portable.layers.iter();
    Item {
        config: portable.image.id.0.blob_path(),
        repo_tags: tags(chosen),
        layers: layers.map(|layer| layer.0.digest.blob_path()).collect(),
        parent: portable.image.parent.filter(|parent| ids.contains(parent)),
    }
}

/// The names of an image as users write them; `null` in JSON when there is none.
pub(super) fn tags(chosen: &Chosen) -> Option<Vec<String>> {
    let names = chosen.references.iter();
    let tags: Vec<String> = names.map(|reference| reference.familiar()).collect();
    (!tags.is_empty()).then_some(tags)
}

/// Lets the names of an image stand for `target`.
pub(super) fn name(repositories: &mut Repositories, chosen: &Chosen, target: &str) {
    for reference in &chosen.references {
        let tag = reference.tag().unwrap_or_default().to_owned();
        repositories
            .entry(reference.familiar_name())
            .or_default()
            .insert(tag, target.to_owned());
    }
}

fn add_blobs(entries: &mut Entries, chosen: Chosen) {
    let portable = chosen.portable;
    let time = created(&portable.image);
    let manifest = portable.manifest;
    let bytes = Source::Bytes(manifest.bytes);
    entries.add(manifest.digest.blob_path(), bytes, Timestamp::default());
    entries.add(
        portable.image.id.0.blob_path(),
        Source::Bytes(portable.config),
        time,
    );
    for (descriptor, source) in portable.layers {
        entries.add(descriptor.digest.blob_path(), source, time);
    }
}

/// A document's bytes.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Invalid(format!("image archive: {error}")))
}

/// A document with the newline that Docker ends some of them with.
pub(super) fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = json(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}
