//! Manifests and the index that names them.

use gantry_types::{Descriptor, Index, Manifest, Platform, media_type};
use serde::Serialize;

use super::{Packaged, Part, Style, bounded};
use crate::portable::Document;
use crate::{Error, Result};

/// Docker's name for layers packed with zstd.
const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// How it is told which manifest an attestation is of.
pub(super) const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
pub(super) const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
pub(super) const ATTESTATION: &str = "attestation-manifest";

/// What Docker's own manifests call a layer.
pub(super) fn docker_layer(kind: &str) -> String {
    let kind = match kind {
        media_type::OCI_LAYER => media_type::DOCKER_LAYER,
        media_type::OCI_LAYER_GZIP => media_type::DOCKER_LAYER_GZIP,
        media_type::OCI_LAYER_ZSTD => DOCKER_LAYER_ZSTD,
        other => other,
    };
    kind.to_owned()
}

/// The manifest of one platform.
pub(super) fn manifest(
    config: &Document,
    layers: Vec<Descriptor>,
    part: &Part,
    style: &Style,
) -> Result<Document> {
    let kind = match style.docker_types {
        true => media_type::DOCKER_MANIFEST,
        false => media_type::OCI_MANIFEST,
    };
    let words = style.annotations.of_manifest(&part.platform);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(kind.to_owned()),
        config: config.descriptor(),
        layers,
        annotations: Some(words).filter(|words| !words.is_empty()),
    };
    document(kind, &manifest)
}

/// The index of the layers of a cache, its configuration last.
pub(super) fn cache_index(
    config: &Document,
    mut layers: Vec<Descriptor>,
    style: &Style,
) -> Result<Document> {
    let kind = match style.docker_types {
        true => media_type::DOCKER_MANIFEST_LIST,
        false => media_type::OCI_INDEX,
    };
    layers.push(config.descriptor());
    let index = Index {
        schema_version: 2,
        media_type: Some(kind.to_owned()),
        manifests: layers,
        annotations: None,
    };
    document(kind, &index)
}

/// The index of all manifests, those of attestations last.
pub(super) fn index(parts: &[Packaged], style: &Style) -> Result<Document> {
    let kind = match style.docker_types {
        true => media_type::DOCKER_MANIFEST_LIST,
        false => media_type::OCI_INDEX,
    };
    let named = parts.iter().map(|part| {
        let words = style.annotations.of_descriptor(&part.platform);
        Descriptor {
            platform: Some(part.platform.clone()),
            annotations: Some(words).filter(|words| !words.is_empty()),
            ..part.manifest.descriptor()
        }
    });
    let attested = parts.iter().filter_map(|part| {
        let of = part.manifest.digest.to_string();
        Some(Descriptor {
            platform: Some(nowhere()),
            annotations: Some(
                [
                    (REFERENCE_DIGEST.to_owned(), of),
                    (REFERENCE_TYPE.to_owned(), ATTESTATION.to_owned()),
                ]
                .into(),
            ),
            ..part.attested.as_ref()?.manifest.descriptor()
        })
    });
    let index = Index {
        schema_version: 2,
        media_type: Some(kind.to_owned()),
        manifests: named.chain(attested).collect(),
        annotations: Some(style.annotations.index.clone()).filter(|words| !words.is_empty()),
    };
    document(kind, &index)
}

/// What attestations run on.
fn nowhere() -> Platform {
    Platform {
        architecture: "unknown".to_owned(),
        os: "unknown".to_owned(),
        os_version: None,
        variant: None,
    }
}

/// A document's bytes.
pub(super) fn document(kind: &str, value: &impl Serialize) -> Result<Document> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::Invalid(format!("image documents: {error}")))?;
    bounded(Document::new(kind, bytes))
}
