//! The archives of `docker save`: `manifest.json` says which configuration,
//! layers and tags make an image. Since Docker 25 an OCI layout lies beside
//! it, whose manifests are kept where they describe the same image.

use std::collections::HashMap;

use gantry_types::{Digest, ImageId, Manifest, Reference};
use serde::Deserialize;

use super::spool::Spool;
use super::{Found, FoundLayer, oci_layout};
use crate::{Error, MAX_LAYERS, Result};

/// Most images of one archive.
pub(super) const MAX_IMAGES: usize = 4096;

const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    #[serde(default)]
    parent: Option<String>,
}

/// The images of the archive.
pub(super) fn find(spool: &Spool) -> Result<Vec<Found>> {
    let bytes = spool.document(MANIFEST)?;
    let items: Vec<Item> =
        serde_json::from_slice(&bytes).map_err(|error| Error::archive(MANIFEST, error))?;
    if items.len() > MAX_IMAGES {
        let reason = format!("more than {MAX_IMAGES} images");
        return Err(Error::archive(MANIFEST, reason));
    }
    let manifests = if spool.contains("index.json") {
        oci_layout::manifests_by_config(spool)
    } else {
        HashMap::new()
    };
    items
        .iter()
        .map(|item| image(spool, item, &manifests))
        .collect()
}

fn image(
    spool: &Spool,
    item: &Item,
    manifests: &HashMap<Digest, (Vec<u8>, Manifest)>,
) -> Result<Found> {
    let config = spool.document(&item.config)?;
    let digest = Digest::of(&config);
    check_name(&item.config, &config)?;
    // As its manifest calls it, which need not be by sha256.
    let named = digest_in(&item.config).unwrap_or(digest);
    let paths = item.layers.as_deref().unwrap_or_default();
    if paths.len() > MAX_LAYERS {
        let reason = format!(
            "max depth exceeded: {} layers, at most {MAX_LAYERS}",
            paths.len()
        );
        return Err(Error::archive(MANIFEST, reason));
    }
    let mut references = Vec::new();
    for tag in item.repo_tags.iter().flatten() {
        let reference: Reference = tag
            .parse()
            .map_err(|error| Error::archive(MANIFEST, format!("tag {tag:?}: {error}")))?;
        if reference.tag().is_none() || reference.digest().is_some() {
            return Err(Error::archive(MANIFEST, format!("invalid tag {tag:?}")));
        }
        references.push(reference);
    }
    let same = |(_, manifest): &&(Vec<u8>, Manifest)| manifest.layers.len() == paths.len();
    let (layers, manifest) = match manifests.get(&named).filter(same) {
        Some((bytes, manifest)) => (oci_layout::layers(manifest), Some(bytes.clone())),
        None => (paths.iter().map(|path| layer(path)).collect(), None),
    };
    Ok(Found {
        config: (config, item.config.clone()),
        layers,
        manifest,
        references,
        parent: item
            .parent
            .as_ref()
            .and_then(|id| Some(ImageId(id.parse().ok()?))),
    })
}

fn layer(path: &str) -> FoundLayer {
    FoundLayer {
        entry: path.to_owned(),
        digest: blob_digest(path),
        media_type: None,
    }
}

/// A configuration that is named by a digest must have that digest.
fn check_name(name: &str, config: &[u8]) -> Result<()> {
    let Some(expected) = digest_in(name) else {
        return Ok(());
    };
    let found = expected.like(config);
    if found == expected {
        return Ok(());
    }
    let reason = format!("unexpected digest {found}, expected {expected}");
    Err(Error::archive(name, reason))
}

/// The digest that names a file among the blobs.
pub(super) fn blob_digest(name: &str) -> Option<Digest> {
    digest_in(name).filter(|_| name.starts_with(oci_layout::BLOBS))
}

/// The digest in a name such as `blobs/<algorithm>/<hex>` or `<hex>.json`.
fn digest_in(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let hex = last.strip_suffix(".json").unwrap_or(last);
    Digest::from_hex(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_checked_by_the_algorithm_of_their_names() {
        let any = Digest::from_hex(&"0".repeat(128)).unwrap();
        for digest in [Digest::of(b"{}"), any.like(b"{}")] {
            for name in [digest.blob_path(), format!("{}.json", digest.hex())] {
                check_name(&name, b"{}").unwrap();
                assert!(check_name(&name, b"[]").is_err(), "{name}");
            }
        }
        check_name("config.json", b"{}").unwrap();
    }
}
