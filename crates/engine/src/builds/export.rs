//! What becomes of results: an image in a form that somebody has chosen, kept here or
//! brought to a registry.

use gantry_build::Op;
use gantry_image::{Attestation, Bundle, ImageStore, Part, PushState, PushStep, Stored, Style};
use gantry_registry::{Cancel, Client, Credentials};
use gantry_types::{Digest, ImageId, Reference};

use super::{Builds, Solved};
use crate::error::{Error, Result};

/// A result that becomes an image, or a part of one.
#[derive(Debug)]
pub struct Exported<'s> {
    /// The result.
    pub solved: &'s Solved,
    /// What is known of it.
    pub attestations: Vec<Attestation>,
    /// What its configuration says besides: JSON by its name.
    pub extra: Option<(&'static str, String)>,
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
        let parts = exported.iter().map(part).collect::<Result<Vec<_>>>()?;
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
        self.inner.cache.settle()?;
        let own = exported
            .get(bundle.own())
            .ok_or_else(|| Error::Invalid("an image of nothing".to_owned()))?;
        let how = Stored {
            references: names,
            parent: own.solved.parent,
            canonical,
        };
        let id = self.store().record_bundle(bundle, how, &own.solved.lease)?;
        self.inner.bound();
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
        let own = &self.inner.registries.client;
        let insecure = match to.insecure {
            true => {
                let mut config = (*own.config()).clone();
                config.insecure.push(to.reference.domain().to_owned());
                Some(Client::new(config)?)
            }
            false => None,
        };
        let client = insecure.as_ref().unwrap_or(own);
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

fn part(exported: &Exported<'_>) -> Result<Part> {
    let config = &exported.solved.config;
    let mut bytes = serde_json::to_vec(config)
        .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
    if let Some((name, value)) = &exported.extra {
        // What the configuration itself says stays as it is, byte for byte.
        bytes.pop();
        bytes.extend_from_slice(format!(",\"{name}\":{value}}}").as_bytes());
    }
    Ok(Part {
        config: bytes,
        diff_ids: config.rootfs.diff_ids.clone(),
        base: base(exported.solved),
        platform: exported.solved.platform(),
        attestations: exported.attestations.clone(),
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
