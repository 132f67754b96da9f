//! What a registry has under a name.

use std::io::Read;

use gantry_api::{DistributionDescriptor, DistributionInspect, DistributionPlatform};
use gantry_registry::{Cancel, Credentials, Document, Error as RegistryError, Repository};
use gantry_types::{Digest, Reference, ReferenceError};
use serde::Deserialize;

use super::Registries;
use crate::error::{Error, Result};

/// No configuration of an image is longer.
const MAX_CONFIG: u64 = 4 << 20;

/// A manifest or an index, as far as it matters here.
#[derive(Deserialize)]
struct Parts {
    config: Option<Part>,
    manifests: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Part {
    digest: Digest,
    size: u64,
    platform: Option<DistributionPlatform>,
}

impl Registries {
    /// Asks for what a name stands for in its registry.
    ///
    /// # Errors
    /// When the name is none, the registry does not have it, or cannot be asked.
    pub fn distribution(
        &self,
        name: &str,
        credentials: &Credentials,
    ) -> Result<DistributionInspect> {
        // A digest has the form of a name with a tag as well.
        if name.parse::<Digest>().is_ok() {
            return Err(id());
        }
        let reference: Reference = match name.parse() {
            Err(ReferenceError::Hexadecimal(_)) => return Err(id()),
            other => other.map_err(|error: ReferenceError| Error::Invalid(error.to_string()))?,
        };
        let reference = reference.or_latest();
        let wanted = match reference.digest() {
            Some(digest) => digest.to_string(),
            None => reference.tag().unwrap_or_default().to_owned(),
        };
        let repository = self
            .client
            .repository(&reference, credentials, &Cancel::new())?;
        let found = repository.resolve(&wanted).map_err(plain)?;
        Ok(DistributionInspect {
            descriptor: DistributionDescriptor {
                media_type: found.media_type.clone(),
                digest: found.digest.to_string(),
                size: found.bytes.len() as u64,
            },
            platforms: platforms(&repository, &found),
        })
    }
}

fn id() -> Error {
    Error::Failed("no manifest found for full image ID".to_owned())
}

/// Without the name, which the one who asks knows.
fn plain(error: RegistryError) -> Error {
    match error {
        RegistryError::ManifestUnknown { refusal, .. } => {
            Error::Registry(RegistryError::Refused(refusal))
        }
        other => other.into(),
    }
}

/// What it runs on: of an index what that says, of a manifest what its
/// configuration says; nothing where neither can be read.
fn platforms(repository: &Repository, found: &Document) -> Option<Vec<DistributionPlatform>> {
    let parts: Parts = serde_json::from_slice(&found.bytes).ok()?;
    if let Some(manifests) = parts.manifests {
        let all = manifests.into_iter();
        return Some(all.map(|part| part.platform.unwrap_or_default()).collect());
    }
    let config = parts.config.filter(|config| config.size <= MAX_CONFIG)?;
    let mut bytes = Vec::new();
    let blob = repository.blob(config.digest, config.size, 0).ok()?;
    blob.take(MAX_CONFIG).read_to_end(&mut bytes).ok()?;
    if config.digest.like(&bytes) != config.digest {
        return None;
    }
    let platform: DistributionPlatform = serde_json::from_slice(&bytes).ok()?;
    let says = !platform.os.is_empty() || !platform.architecture.is_empty();
    says.then(|| vec![platform])
}
