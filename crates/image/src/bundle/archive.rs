//! A bundle as an archive: an OCI layout, for Docker with the document that it looks
//! for.

use std::io::Read;

use gantry_archive::tar::{Output, Timestamp};
use gantry_types::{Digest, Index, Reference, media_type};
use serde_json::json;

use super::{Bundle, File};
use crate::save::entries::{Entries, Source};
use crate::{Error, ImageStore, Result};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CREATED: &str = "org.opencontainers.image.created";

impl ImageStore {
    /// Writes an archive of it; with `docker` one that every Docker loads.
    ///
    /// # Errors
    /// `Stream` when the output fails; `Content`, `Damaged` for a layer that is gone.
    pub fn write_bundle<O: Output>(
        &self,
        bundle: &Bundle,
        names: &[Reference],
        created: &str,
        docker: bool,
        output: O,
    ) -> Result<O> {
        let inner = self.inner();
        let mut entries = Entries::new(inner.content.clone(), inner.layer_limits());
        let mut add = |name: String, source| entries.add(name, source, Timestamp::default());
        for file in bundle.files() {
            match file {
                File::Document(digest, bytes) => {
                    add(digest.blob_path(), Source::Bytes(bytes.to_vec()));
                }
                File::Layer(digest, _) => {
                    add(
                        digest.blob_path(),
                        Source::Blob(inner.content.hold(digest)?),
                    );
                }
            }
        }
        add("oci-layout".to_owned(), Source::Bytes(LAYOUT.to_vec()));
        let index = json(&bundle.layout(names, created))?;
        add("index.json".to_owned(), Source::Bytes(index));
        if docker {
            let part = &bundle.parts[bundle.own()];
            let layers = part
                .layers
                .iter()
                .map(|layer| layer.blob.digest().blob_path());
            let tags: Vec<String> = names.iter().map(Reference::familiar).collect();
            let item = json!([{
                "Config": part.config.digest.blob_path(),
                "RepoTags": tags,
                "Layers": layers.collect::<Vec<_>>(),
            }]);
            add("manifest.json".to_owned(), Source::Bytes(json(&item)?));
        }
        entries.write(output)
    }

    /// A document that some image leaves with.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn document(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        Ok(self
            .database()
            .read(|view| gantry_metadata::forms::document(view, digest))?)
    }

    /// How long a blob is, if it is here.
    pub fn blob_size(&self, digest: Digest) -> Option<u64> {
        let file = self.inner().content.reader(digest).ok()?;
        file.metadata().ok().map(|meta| meta.len())
    }

    /// The bytes of a layer.
    ///
    /// # Errors
    /// `Content` when they are gone.
    pub fn open_blob(&self, digest: Digest) -> Result<impl Read + use<>> {
        Ok(self.inner().content.reader(digest)?)
    }
}

impl Bundle {
    /// The `index.json` of a layout.
    fn layout(&self, names: &[Reference], created: &str) -> Index {
        let mut root = self.root().clone();
        let words = root.annotations.get_or_insert_default();
        let created = || created.to_owned();
        words.entry(CREATED.to_owned()).or_insert_with(created);
        let named = names.iter().map(|name| {
            let mut named = root.clone();
            let words = named.annotations.get_or_insert_default();
            words.insert(IMAGE_NAME.to_owned(), name.to_string());
            let tag = name.tag().unwrap_or_default();
            words.insert(REF_NAME.to_owned(), tag.to_owned());
            named
        });
        let mut manifests: Vec<_> = named.collect();
        if manifests.is_empty() {
            manifests.push(root);
        }
        Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests,
            annotations: None,
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Invalid(format!("image archive: {error}")))
}
