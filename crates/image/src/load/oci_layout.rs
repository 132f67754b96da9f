//! OCI image layouts: `index.json` and `blobs/<algorithm>/<hex>`.

use std::collections::{BTreeMap, HashMap};

use gantry_types::{Descriptor, Digest, Index, Manifest, Platform, Reference, media_type};
use serde::de::DeserializeOwned;

use super::spool::Spool;
use super::{Found, FoundLayer};
use crate::{Error, MAX_LAYERS, Result};

/// Where blobs lie.
pub(super) const BLOBS: &str = "blobs/";
const INDEX: &str = "index.json";
/// Most descriptors of one index.
const MAX_MANIFESTS: usize = 4096;
/// An index may hold an index, but not for ever.
const MAX_DEPTH: usize = 4;

const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const ATTESTATION: &str = "vnd.docker.reference.type";

/// The images of the layout: one for each name, and one for each manifest
/// without a name.
pub(super) fn find(spool: &Spool, platform: Option<&Platform>) -> Result<Vec<Found>> {
    let bytes = spool.document(INDEX)?;
    let mut groups: BTreeMap<Option<String>, Vec<Descriptor>> = BTreeMap::new();
    for descriptor in index(&bytes, INDEX)?.manifests {
        if !is_attestation(&descriptor) {
            let name = name_of(&descriptor).map(|name| name.to_string());
            groups.entry(name).or_default().push(descriptor);
        }
    }
    let mut found = Vec::new();
    for (name, descriptors) in groups {
        let several = descriptors.len() > 1 && descriptors.iter().all(|d| d.platform.is_some());
        let chosen = if several {
            vec![choose(&descriptors, platform, INDEX)?.clone()]
        } else {
            descriptors
        };
        for descriptor in chosen {
            let mut image = image(spool, &descriptor, platform, 0)?;
            image.references = name.iter().filter_map(|name| name.parse().ok()).collect();
            found.push(image);
        }
    }
    if found.is_empty() {
        return Err(Error::archive(INDEX, "names no image"));
    }
    Ok(found)
}

/// The manifests of the layout by the digest of their configuration, as far
/// as they and all their layers are in the archive.
pub(super) fn manifests_by_config(spool: &Spool) -> HashMap<Digest, (Vec<u8>, Manifest)> {
    let mut found = HashMap::new();
    let mut waiting = vec![(INDEX.to_owned(), 0)];
    while let Some((entry, depth)) = waiting.pop() {
        let Ok(index) = spool
            .document(&entry)
            .and_then(|bytes| index(&bytes, &entry))
        else {
            continue;
        };
        for descriptor in index.manifests {
            let entry = descriptor.digest.blob_path();
            if is_index(&descriptor) && depth < MAX_DEPTH {
                waiting.push((entry, depth + 1));
            } else if let Ok((bytes, manifest)) = manifest(spool, &descriptor)
                && layers(&manifest)
                    .iter()
                    .all(|layer| spool.contains(&layer.entry))
            {
                found.insert(manifest.config.digest, (bytes, manifest));
            }
        }
    }
    found
}

/// The layers that a manifest names.
pub(super) fn layers(manifest: &Manifest) -> Vec<FoundLayer> {
    manifest
        .layers
        .iter()
        .map(|layer| FoundLayer {
            entry: layer.digest.blob_path(),
            digest: Some(layer.digest),
            media_type: Some(layer.media_type.clone()),
        })
        .collect()
}

fn image(
    spool: &Spool,
    descriptor: &Descriptor,
    platform: Option<&Platform>,
    depth: usize,
) -> Result<Found> {
    let entry = descriptor.digest.blob_path();
    if is_index(descriptor) {
        if depth == MAX_DEPTH {
            return Err(Error::archive(entry, "indexes within indexes without end"));
        }
        let bytes = verified(spool, descriptor)?;
        let inside: Vec<Descriptor> = index(&bytes, &entry)?
            .manifests
            .into_iter()
            .filter(|descriptor| !is_attestation(descriptor))
            .collect();
        let chosen = match &inside[..] {
            [only] if only.platform.is_none() => only,
            all => choose(all, platform, &entry)?,
        };
        return image(spool, chosen, platform, depth + 1);
    }
    let (bytes, manifest) = manifest(spool, descriptor)?;
    let config = verified(spool, &manifest.config)?;
    Ok(Found {
        config: (config, manifest.config.digest.blob_path()),
        layers: layers(&manifest),
        manifest: Some(bytes),
        references: Vec::new(),
        parent: None,
    })
}

/// The one for the platform asked for, or for this host.
fn choose<'d>(
    all: &'d [Descriptor],
    platform: Option<&Platform>,
    entry: &str,
) -> Result<&'d Descriptor> {
    let host = Platform::host();
    let wanted = platform.unwrap_or(&host);
    let matching = |d: &&Descriptor| d.platform.as_ref().is_some_and(|have| have.matches(wanted));
    all.iter().find(matching).ok_or_else(|| {
        let have: Vec<String> = all
            .iter()
            .filter_map(|d| d.platform.as_ref().map(ToString::to_string))
            .collect();
        Error::Platform {
            entry: entry.to_owned(),
            wanted: wanted.to_string(),
            have: if have.is_empty() {
                "none".to_owned()
            } else {
                have.join(", ")
            },
        }
    })
}

fn manifest(spool: &Spool, descriptor: &Descriptor) -> Result<(Vec<u8>, Manifest)> {
    let entry = descriptor.digest.blob_path();
    let known = [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST, ""];
    if !known.contains(&descriptor.media_type.as_str()) {
        let reason = format!("unknown media type {:?}", descriptor.media_type);
        return Err(Error::archive(entry, reason));
    }
    let bytes = verified(spool, descriptor)?;
    let manifest: Manifest = parse(&bytes, &entry)?;
    if manifest.schema_version != 2 {
        let reason = format!("unknown schema version {}", manifest.schema_version);
        return Err(Error::archive(entry, reason));
    }
    if manifest.layers.len() > MAX_LAYERS {
        let count = manifest.layers.len();
        let reason = format!("max depth exceeded: {count} layers, at most {MAX_LAYERS}");
        return Err(Error::archive(entry, reason));
    }
    Ok((bytes, manifest))
}

fn index(bytes: &[u8], entry: &str) -> Result<Index> {
    let index: Index = parse(bytes, entry)?;
    if index.manifests.len() > MAX_MANIFESTS {
        let reason = format!("more than {MAX_MANIFESTS} manifests");
        return Err(Error::archive(entry, reason));
    }
    Ok(index)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], entry: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::archive(entry, error))
}

/// The bytes of a document, if they are what the descriptor says.
fn verified(spool: &Spool, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let entry = descriptor.digest.blob_path();
    let bytes = spool.document(&entry)?;
    let found = descriptor.digest.like(&bytes);
    if found != descriptor.digest {
        let reason = format!("unexpected digest {found}, expected {}", descriptor.digest);
        return Err(Error::archive(entry, reason));
    }
    if bytes.len() as u64 != descriptor.size {
        let reason = format!("{} bytes, expected {}", bytes.len(), descriptor.size);
        return Err(Error::archive(entry, reason));
    }
    Ok(bytes)
}

fn is_index(descriptor: &Descriptor) -> bool {
    let indexes = [media_type::OCI_INDEX, media_type::DOCKER_MANIFEST_LIST];
    indexes.contains(&descriptor.media_type.as_str())
}

fn annotation<'d>(descriptor: &'d Descriptor, key: &str) -> Option<&'d str> {
    let annotations = descriptor.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

/// Proofs about images that lie beside them (BuildKit).
fn is_attestation(descriptor: &Descriptor) -> bool {
    annotation(descriptor, ATTESTATION).is_some()
        || descriptor
            .platform
            .as_ref()
            .is_some_and(|p| p.os == "unknown")
}

/// The full name that the layout gives to an image: a bare tag is none.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let full = annotation(descriptor, IMAGE_NAME);
    let short = annotation(descriptor, REF_NAME).filter(|name| name.contains([':', '/']));
    let reference: Reference = full.or(short)?.parse().ok()?;
    (reference.digest().is_none()).then(|| reference.or_latest())
}
