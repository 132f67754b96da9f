//! What becomes of results: an image in a form that somebody has chosen, kept here or
//! brought to a registry.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_build::cache_config::{CacheConfig, INLINE, MEDIA_TYPE, Portable};
use gantry_build::{Op, Value};
use gantry_image::{
    Attestation, Bundle, Finish, ImageStore, Packing, Part, PushState, PushStep, Stored, Style,
};
use gantry_registry::{Cancel, Credentials};
use gantry_types::{Digest, ImageId, Platform, Reference};

use super::{Builds, Solved};
use crate::error::{Error, Result};

/// A result that becomes an image, or a part of one.
pub struct Exported<'s> {
    /// The result.
    pub solved: &'s Solved,
    /// What is known of it.
    pub attestations: Vec<Attestation>,
    /// Whether its configuration says which steps its layers are of, so that others find
    /// them as those of a cache.
    pub inline_cache: bool,
}

/// How a cache is exported.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheExport {
    /// Whether the results of all steps go, not only those that the image has.
    pub all: bool,
    /// Whether its documents are Docker's.
    pub docker_types: bool,
    /// Whether it looks like an image.
    pub image_manifest: bool,
    /// How layers are packed.
    pub packing: Packing,
}

/// Where a bundle goes.
pub struct Destination<'d> {
    /// Its name there.
    pub reference: &'d Reference,
    /// Whether the registry may be one without TLS, whatever else is configured.
    pub insecure: bool,
    /// Who asks.
    pub credentials: Credentials,
}

impl Builds {
    /// Gives results, one for each platform, the form of an image.
    ///
    /// # Errors
    /// `Invalid` for what does not go together.
    pub fn bundle(&self, exported: &[Exported<'_>], style: &Style) -> Result<Bundle> {
        let parts = exported.iter().map(|one| self.part(one));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let bundle = self.store().bundle(&parts, style)?;
        gantry_sys::give_back_heap();
        Ok(bundle)
    }

    /// Records the image of a bundle, and names it. Of several platforms it is this
    /// machine's.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn record(
        &self,
        bundle: &Bundle,
        exported: &[Exported<'_>],
        names: &[Reference],
        canonical: bool,
    ) -> Result<ImageId> {
        let begun = exported.iter().map(|one| one.solved.since).min();
        self.inner
            .cache
            .settle(begun.unwrap_or(self.store().epoch()))?;
        let own = exported
            .get(bundle.own())
            .ok_or_else(|| Error::Invalid("an image of nothing".to_owned()))?;
        let how = Stored {
            references: names,
            parent: own.solved.parent,
            canonical,
        };
        let id = self.store().record_bundle(bundle, how, &own.solved.lease)?;
        self.inner.bound_soon();
        self.inner.images.published(id, names);
        Ok(id)
    }

    /// Brings a bundle to a registry; the digest that it has there.
    ///
    /// # Errors
    /// Those of the registry.
    pub fn push(
        &self,
        bundle: &Bundle,
        to: Destination<'_>,
        cancel: &Cancel,
        tell: &mut dyn FnMut(String, u64, u64),
    ) -> Result<Digest> {
        let client = self.client(to.insecure.then_some(to.reference))?;
        let repository = client.repository(to.reference, &to.credentials, cancel)?;
        let mut tell = |step: PushStep| {
            if let PushState::Pushing { current, total } = step.state {
                tell(step.diff_id.to_string(), current, total);
            }
        };
        let pushed = self
            .store()
            .push_bundle(bundle, &repository, to.reference, &mut tell)?;
        Ok(pushed.digest)
    }

    /// Where layers are.
    pub fn store(&self) -> &ImageStore {
        &self.inner.store
    }
}

impl Builds {
    fn part(&self, exported: &Exported<'_>) -> Result<Part> {
        let config = &exported.solved.config;
        let bytes = serde_json::to_vec(config)
            .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
        let finish = match exported.inline_cache {
            true => Some(inline(self.portable(exported.solved, false)?)),
            false => None,
        };
        Ok(Part {
            config: bytes,
            diff_ids: config.rootfs.diff_ids.clone(),
            base: base(exported.solved),
            platform: exported.solved.platform(),
            attestations: exported.attestations.clone(),
            finish,
        })
    }

    /// Gives the results of steps the form in which caches travel.
    ///
    /// # Errors
    /// When layers are not here any more.
    pub fn cache_bundle(&self, of: &[&Solved], how: &CacheExport) -> Result<Option<Bundle>> {
        let mut results = Vec::new();
        for solved in of {
            results.extend(self.portable(solved, how.all)?);
        }
        let mut diff_ids = Vec::new();
        for diff_id in results.iter().flat_map(|result| &result.diff_ids) {
            if !diff_ids.contains(diff_id) {
                diff_ids.push(*diff_id);
            }
        }
        if diff_ids.is_empty() {
            return Ok(None);
        }
        let part = Part {
            config: Vec::new(),
            diff_ids,
            base: 0,
            platform: Platform::host(),
            attestations: Vec::new(),
            finish: Some(Arc::new(move |packed, _| {
                let packed = packed.iter().cloned().collect();
                let config = CacheConfig::of(&results, &packed);
                config.bytes().unwrap_or_default()
            })),
        };
        let style = Style {
            docker_types: how.docker_types,
            packing: how.packing,
            force: true,
            cache: Some((MEDIA_TYPE, !how.image_manifest)),
            ..Style::default()
        };
        let bundle = self.store().bundle(&[part], &style)?;
        gantry_sys::give_back_heap();
        Ok(Some(bundle))
    }

    /// The results of steps with all that stands for them: of `all` steps, or of those
    /// whose layers the image has.
    fn portable(&self, solved: &Solved, all: bool) -> Result<Vec<Portable>> {
        let own = &solved.config.rootfs.diff_ids;
        let mut results = Vec::new();
        for value in solved.values.values() {
            let Value::Layers(layers) = value else {
                continue;
            };
            let wanted = all || own.starts_with(&layers.diff_ids);
            let Some(id) = layers.stored.as_ref().filter(|_| wanted) else {
                continue;
            };
            results.push(Portable {
                keys: self.inner.cache.keys(id)?,
                diff_ids: layers.diff_ids.clone(),
                created: layers.created,
            });
        }
        Ok(results)
    }
}

/// Lets a configuration say which steps its layers are of. What it says besides stays as
/// it is, byte for byte.
fn inline(results: Vec<Portable>) -> Finish {
    Arc::new(move |packed, mut config| {
        let packed = packed.iter().cloned().collect();
        let cache = CacheConfig::of(&results, &packed);
        let bytes = cache.bytes().unwrap_or_default();
        if !cache.is_empty() && config.pop().is_some() {
            let text = STANDARD.encode(bytes);
            config.extend_from_slice(format!(",\"{INLINE}\":\"{text}\"}}").as_bytes());
        }
        config
    })
}

/// How many of a result's layers came with an image.
fn base(solved: &Solved) -> usize {
    let own = &solved.config.rootfs.diff_ids;
    let nodes = solved.plan.graph.nodes.iter();
    let came = nodes.filter_map(|node| match &node.op {
        Op::Layers(layers) if own.starts_with(layers) => Some(layers.len()),
        _ => None,
    });
    came.max().unwrap_or(0)
}
