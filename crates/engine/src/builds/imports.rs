//! Caches that others have exported: read from where they are, and their layers brought
//! here when a step needs them. Whatever is wrong with one is told once, and then it has
//! nothing: a build never fails for it.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use gantry_build::cache_config::{CacheConfig, INLINE, MEDIA_TYPE, Offered};
use gantry_build::{Brought, Imports};
use gantry_image::{ImageStore, Lease, MAX_DOCUMENT, Remote, Source, Wanted};
use gantry_registry::{Cancel, Client, Credentials, Document};
use gantry_types::{Descriptor, DiffId, Digest, ImageConfig, Platform, Reference};
use serde_json::Value;

use super::Builds;
use crate::error::{Error, Result};

/// Most manifests of an index that are looked at.
const MOST_MANIFESTS: usize = 1000;

/// A cache that somebody has exported.
pub struct CacheOrigin {
    source: Arc<dyn Source>,
    offered: BTreeMap<String, Offered>,
}

impl CacheOrigin {
    /// How many results it has.
    pub fn count(&self) -> usize {
        self.offered.len()
    }
}

/// All caches of one build.
pub struct CacheOrigins {
    store: ImageStore,
    origins: Vec<CacheOrigin>,
    cancel: Cancel,
    /// One result is brought at a time: the next step may need the same layers.
    bringing: Mutex<()>,
}

impl Imports for CacheOrigins {
    fn look(&self, key: &str) -> Option<Brought> {
        let mut origins = self.origins.iter();
        let offered = origins.find_map(|origin| origin.offered.get(key))?;
        Some(brought(offered, 0))
    }

    fn bring(&self, key: &str, lease: &Lease) -> Option<Brought> {
        for origin in &self.origins {
            let Some(offered) = origin.offered.get(key) else {
                continue;
            };
            let _alone = self.bringing.lock().unwrap_or_else(PoisonError::into_inner);
            let (layers, cancel) = (&offered.layers, &self.cancel);
            match self
                .store
                .fetch_layers(&origin.source, layers, lease, cancel)
            {
                Ok(size) => return Some(brought(offered, size)),
                Err(error) => tracing::warn!(%error, "a cached layer cannot be had"),
            }
        }
        None
    }
}

fn brought(offered: &Offered, size: u64) -> Brought {
    Brought {
        diff_ids: offered.layers.iter().map(|(_, diff_id)| *diff_id).collect(),
        created: offered.created,
        size,
    }
}

impl Builds {
    /// The cache of a registry: exported by its own name, or within an image.
    ///
    /// # Errors
    /// When there is none, or it makes no sense.
    pub fn cache_of_registry(
        &self,
        reference: &Reference,
        insecure: bool,
        credentials: &Credentials,
        cancel: &Cancel,
    ) -> Result<CacheOrigin> {
        let reference = reference.clone().or_latest();
        let client = self.client(insecure.then_some(&reference))?;
        let repository = client.repository(&reference, credentials, cancel)?;
        let source: Arc<dyn Source> = Arc::new(Remote::new(&client, &repository));
        let document = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => source.digest(digest, cancel)?,
            (None, tag) => source.tag(tag.unwrap_or("latest"), cancel)?,
        };
        self.cache_of(source, document, cancel)
    }

    /// A client of registries, which may do without TLS at that of `insecure`.
    pub(super) fn client(&self, insecure: Option<&Reference>) -> Result<Client> {
        let own = &self.inner.registries.client;
        let Some(reference) = insecure else {
            return Ok(own.clone());
        };
        let mut config = (*own.config()).clone();
        config.insecure.push(reference.domain().to_owned());
        Ok(Client::new(config)?)
    }

    /// The cache that a document of a source describes.
    ///
    /// # Errors
    /// When it makes no sense, or the source does not have what it says.
    pub fn cache_of(
        &self,
        source: Arc<dyn Source>,
        document: Document,
        cancel: &Cancel,
    ) -> Result<CacheOrigin> {
        let reading = Reading {
            source: &*source,
            cancel,
        };
        let offered = reading.document(&document)?;
        Ok(CacheOrigin { source, offered })
    }

    /// What a build finds these caches' results by.
    pub fn origins(&self, origins: Vec<CacheOrigin>, cancel: &Cancel) -> Arc<CacheOrigins> {
        Arc::new(CacheOrigins {
            store: self.store().clone(),
            origins,
            cancel: cancel.clone(),
            bringing: Mutex::default(),
        })
    }
}

/// A cache that is being read.
struct Reading<'r> {
    source: &'r dyn Source,
    cancel: &'r Cancel,
}

type Offers = BTreeMap<String, Offered>;

fn invalid(what: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("invalid cache: {what}"))
}

fn parse(document: &Document) -> Result<Value> {
    if document.bytes.len() as u64 > MAX_DOCUMENT {
        return Err(invalid(format!("longer than {MAX_DOCUMENT} bytes")));
    }
    serde_json::from_slice(&document.bytes).map_err(invalid)
}

fn descriptors(value: &Value) -> Vec<Descriptor> {
    let all = value.as_array().into_iter().flatten().take(MOST_MANIFESTS);
    // What names itself wrongly is none.
    all.filter_map(|one| serde_json::from_value(one.clone()).ok())
        .collect()
}

impl Reading<'_> {
    fn document(&self, document: &Document) -> Result<Offers> {
        let value = parse(document)?;
        if !value["manifests"].is_array() {
            return self.manifest(&value);
        }
        let mut named = descriptors(&value["manifests"]);
        let config = named.iter().position(|one| one.media_type == MEDIA_TYPE);
        if let Some(config) = config {
            let config = named.swap_remove(config);
            return self.config(&config, named);
        }
        // An image for several platforms: of each what is in it.
        let mut offers = Offers::new();
        let unknown = |of: &Option<Platform>| of.as_ref().is_some_and(|of| of.os == "unknown");
        for one in named.iter().filter(|one| !unknown(&one.platform)) {
            let document = self.source.digest(one.digest, self.cancel)?;
            offers.extend(self.manifest(&parse(&document)?)?);
        }
        Ok(offers)
    }

    fn manifest(&self, manifest: &Value) -> Result<Offers> {
        let config: Descriptor =
            serde_json::from_value(manifest["config"].clone()).map_err(invalid)?;
        let layers = descriptors(&manifest["layers"]);
        match config.media_type == MEDIA_TYPE {
            true => self.config(&config, layers),
            false => self.inline(&config, layers),
        }
    }

    fn config(&self, config: &Descriptor, layers: Vec<Descriptor>) -> Result<Offers> {
        let config = CacheConfig::parse(&self.read(config)?)?;
        let blobs = layers.into_iter().map(|layer| (layer.digest, layer));
        Ok(config.offered(&blobs.into_map()))
    }

    /// What an image's configuration says of the image's own layers, and of no others.
    fn inline(&self, config: &Descriptor, layers: Vec<Descriptor>) -> Result<Offers> {
        let bytes = self.read(config)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(invalid)?;
        let Some(cache) = value[INLINE].as_str() else {
            return Ok(Offers::new());
        };
        let config: ImageConfig = serde_json::from_slice(&bytes).map_err(invalid)?;
        let cache = CacheConfig::parse(&decoded(cache)?)?;
        let blobs: BTreeMap<Digest, Descriptor> = layers
            .iter()
            .map(|layer| (layer.digest, layer.clone()))
            .into_map();
        let own: Vec<DiffId> = config.rootfs.diff_ids;
        let mut offers = cache.offered(&blobs);
        offers.retain(|_, offered| {
            let chain = offered.layers.iter().map(|(_, diff_id)| diff_id);
            offered.layers.len() <= own.len() && chain.eq(own.iter().take(offered.layers.len()))
        });
        Ok(offers)
    }

    /// A short blob, whole and compared with its digest.
    fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if descriptor.size > MAX_DOCUMENT {
            return Err(invalid(format!("longer than {MAX_DOCUMENT} bytes")));
        }
        let mut bytes = Vec::new();
        self.source
            .blob(&Wanted::of(descriptor), 0, self.cancel)?
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(invalid)?;
        match descriptor.digest.like(&bytes) == descriptor.digest {
            true => Ok(bytes),
            false => Err(invalid(format!(
                "{} is not what it says",
                descriptor.digest
            ))),
        }
    }
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    engine.decode(text).map_err(invalid)
}
