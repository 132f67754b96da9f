//! An image as it is given to others in a form that somebody has chosen: for one
//! platform or several, in this packing or that, with what is known of how it was made.
//!
//! ```text
//!  parts ──pack──► manifests ──► attestations (each a manifest of its own) ──► index
//!                                  │
//!          archive, registry, the store's own record ◄── documents and blobs
//! ```
//!
//! One part without attestations is a manifest and no index, unless one is wanted. What
//! it is made of is kept while it lives.

mod archive;
mod attested;
mod documents;
mod stored;

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_archive::compression::Compression;
use gantry_content::Blob;
use gantry_types::{Descriptor, DiffId, Digest, ImageId, Platform, Reference, media_type};

pub use attested::{Attestation, escaped, package_url};
pub use stored::Stored;

use crate::portable::{Document, PackedLayer};
use crate::{Error, ImageStore, MAX_DOCUMENT, Packing, Result, several};
use attested::Attested;

/// Says what a configuration becomes when it is known how the layers are packed.
pub type Finish = Arc<dyn Fn(&[(DiffId, Descriptor)], Vec<u8>) -> Vec<u8> + Send + Sync>;

/// The image for one platform.
#[derive(Clone)]
pub struct Part {
    /// Its configuration document.
    pub config: Vec<u8>,
    /// Its layers, bottom first.
    pub diff_ids: Vec<DiffId>,
    /// How many of them came with the image that it was made from.
    pub base: usize,
    /// What it runs on.
    pub platform: Platform,
    /// What is known of it.
    pub attestations: Vec<Attestation>,
    /// What its configuration is to say of its layers.
    pub finish: Option<Finish>,
}

/// The form that is wanted.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// What attestations call the image.
    pub names: Vec<Reference>,
    /// Whether the documents are Docker's, for engines and registries of long ago.
    pub docker_types: bool,
    /// How layers are packed; as they are here when nothing is said.
    pub packing: Packing,
    /// Whether that goes for layers too that came with another image.
    pub force: bool,
    /// Whether there is an index even for one manifest.
    pub index: bool,
    /// Whether attestations say as OCI artifacts what they are of.
    pub artifacts: bool,
    /// Free words.
    pub annotations: Annotations,
    /// That it is no image but a cache: what its configuration is called, and whether
    /// the layers are named by an index, not by a manifest.
    pub cache: Option<(&'static str, bool)>,
}

/// Free words by their names, by what they are written on.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    /// The index.
    pub index: BTreeMap<String, String>,
    /// What names the index.
    pub index_descriptor: BTreeMap<String, String>,
    /// Manifests: of one platform, or of all.
    pub manifest: Vec<(Option<Platform>, String, String)>,
    /// What names manifests.
    pub manifest_descriptor: Vec<(Option<Platform>, String, String)>,
}

/// An image in the form that was wanted.
pub struct Bundle {
    pub(crate) index: Option<Document>,
    pub(crate) parts: Vec<Packaged>,
    /// What names the whole.
    root: Descriptor,
}

/// The image for one platform, in its form.
pub(crate) struct Packaged {
    pub(crate) config: Document,
    pub(crate) manifest: Document,
    pub(crate) platform: Platform,
    pub(crate) diff_ids: Vec<DiffId>,
    pub(crate) layers: Vec<PackedLayer>,
    pub(crate) attested: Option<Attested>,
}

impl ImageStore {
    /// Gives an image its form: layers are packed as that wants them.
    ///
    /// # Errors
    /// `Invalid` for what does not go together; `NotHere`, `Damaged` for a layer that is
    /// not here any more.
    pub fn bundle(&self, parts: &[Part], style: &Style) -> Result<Bundle> {
        let attested = parts.iter().any(|part| !part.attestations.is_empty());
        let index = style.index || attested || parts.len() != 1;
        style.check(index, attested)?;
        let packaged = parts.iter().map(|part| self.package(part, style));
        let packaged = packaged.collect::<Result<Vec<_>>>()?;
        let index = match index {
            true => Some(documents::index(&packaged, style)?),
            false => None,
        };
        let mut bundle = Bundle::of(index, packaged)?;
        let words = match &bundle.index {
            Some(_) => style.annotations.index_descriptor.clone(),
            None => style.annotations.of_descriptor(&bundle.parts[0].platform),
        };
        bundle.root.annotations = Some(words).filter(|words| !words.is_empty());
        Ok(bundle)
    }

    fn package(&self, part: &Part, style: &Style) -> Result<Packaged> {
        let layers = several::each(part.diff_ids.len(), |number| {
            let packing = match style.packing.format {
                None if style.docker_types => Packing::of(Compression::Gzip),
                _ if number < part.base && !style.force => match style.docker_types {
                    true => Packing::of(Compression::Gzip),
                    false => Packing::default(),
                },
                _ => style.packing,
            };
            let (mut descriptor, blob) = self.inner().packed_as(part.diff_ids[number], packing)?;
            if style.docker_types {
                descriptor.media_type = documents::docker_layer(&descriptor.media_type);
            }
            Ok(PackedLayer { descriptor, blob })
        })?;
        let kind = match style.docker_types {
            true => media_type::DOCKER_CONFIG,
            false => media_type::OCI_CONFIG,
        };
        let kind = style.cache.map_or(kind, |(kind, _)| kind);
        let named: Vec<Descriptor> = layers.iter().map(|l| l.descriptor.clone()).collect();
        let config = match &part.finish {
            Some(finish) => {
                let named = std::iter::zip(part.diff_ids.clone(), named.clone());
                finish(&named.collect::<Vec<_>>(), part.config.clone())
            }
            None => part.config.clone(),
        };
        let config = bounded(Document::new(kind, config))?;
        let manifest = match style.cache {
            Some((_, true)) => documents::cache_index(&config, named, style)?,
            _ => documents::manifest(&config, named, part, style)?,
        };
        let attested = match part.attestations.is_empty() {
            true => None,
            false => Some(Attested::new(&manifest, part, style)?),
        };
        Ok(Packaged {
            config,
            manifest,
            platform: part.platform.clone(),
            diff_ids: part.diff_ids.clone(),
            layers,
            attested,
        })
    }
}

impl Style {
    fn check(&self, index: bool, attested: bool) -> Result<()> {
        let words = &self.annotations;
        let refused = |text: &str| Err(Error::Invalid(text.to_owned()));
        let on_index = words.index.len() + words.index_descriptor.len();
        if self.docker_types && on_index + words.manifest_descriptor.len() > 0 {
            return refused("cannot export annotations with \"oci-mediatypes=false\"");
        }
        if self.docker_types && attested {
            return refused("cannot export attestations with \"oci-mediatypes=false\"");
        }
        if !index && on_index > 0 {
            return refused("index annotations not supported for single platform export");
        }
        Ok(())
    }
}

impl Annotations {
    fn of(words: &[(Option<Platform>, String, String)], platform: &Platform) -> Words {
        let meant = |of: &Option<Platform>| of.as_ref().is_none_or(|of| platform.matches(of));
        let words = words.iter().filter(|(of, _, _)| meant(of));
        words.map(|(_, k, v)| (k.clone(), v.clone())).into_map()
    }

    fn of_manifest(&self, platform: &Platform) -> Words {
        Self::of(&self.manifest, platform)
    }

    fn of_descriptor(&self, platform: &Platform) -> Words {
        Self::of(&self.manifest_descriptor, platform)
    }
}

type Words = BTreeMap<String, String>;

/// Something that a bundle consists of.
pub enum File<'b> {
    /// A document.
    Document(Digest, &'b [u8]),
    /// A layer.
    Layer(Digest, u64),
}

impl Bundle {
    fn of(index: Option<Document>, parts: Vec<Packaged>) -> Result<Self> {
        let first = parts.first();
        let first = first.ok_or_else(|| Error::Invalid("an image of nothing".to_owned()))?;
        let root = match &index {
            Some(index) => index.descriptor(),
            None => Descriptor {
                platform: Some(first.platform.clone()),
                ..first.manifest.descriptor()
            },
        };
        Ok(Self { index, parts, root })
    }

    /// What names the whole.
    pub fn root(&self) -> &Descriptor {
        &self.root
    }

    /// The document that names stand for.
    pub(crate) fn root_document(&self) -> &Document {
        self.index.as_ref().unwrap_or(&self.parts[0].manifest)
    }

    /// The configuration's digest, when there is but one and no index.
    pub fn config(&self) -> Option<Digest> {
        self.index.is_none().then(|| self.parts[0].config.digest)
    }

    /// The number of the part that this machine runs, or else of the first one.
    pub fn own(&self) -> usize {
        let host = Platform::host();
        let ranked = self.parts.iter().enumerate();
        let ranked =
            ranked.filter_map(|(number, part)| Some((part.platform.rank_for(&host)?, number)));
        ranked.min().map_or(0, |(_, number)| number)
    }

    /// The image that this machine's store knows it by.
    pub fn image(&self) -> ImageId {
        ImageId(self.parts[self.own()].config.digest)
    }

    /// All that it consists of; what names others comes after them.
    pub fn files(&self) -> Vec<File<'_>> {
        let mut files = Vec::new();
        for part in &self.parts {
            let layers = part.layers.iter();
            files.extend(layers.map(|layer| File::Layer(layer.blob.digest(), layer.blob.size())));
            files.extend([part.config.file(), part.manifest.file()]);
            if let Some(attested) = &part.attested {
                files.extend(attested.blobs.iter().map(Document::file));
                files.push(attested.manifest.file());
            }
        }
        files.extend(self.index.as_ref().map(Document::file));
        files
    }
}

impl Document {
    fn file(&self) -> File<'_> {
        File::Document(self.digest, &self.bytes)
    }
}

/// The blob of a layer that a manifest names.
fn hold(store: &crate::store::Inner, digest: Digest) -> Option<Blob> {
    store.content.hold(digest).ok()
}

/// Whether a document may be kept: none is larger than those that are read.
fn bounded(document: Document) -> Result<Document> {
    match document.bytes.len() as u64 > MAX_DOCUMENT {
        true => Err(Error::Invalid(format!(
            "a document is longer than {MAX_DOCUMENT} bytes"
        ))),
        false => Ok(document),
    }
}
