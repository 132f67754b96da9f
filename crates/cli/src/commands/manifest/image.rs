//! Manifests of images as `manifest` shows and keeps them, in Docker's form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::DistributionPlatform;
use gantry_registry::{Document, Repository};
use gantry_types::{Digest, Reference};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::registry::failed;

pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
/// No configuration of an image is longer.
const MAX_CONFIG: u64 = 4 << 20;

/// A manifest, where it is from, and what it runs on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageManifest {
    #[serde(rename = "Ref")]
    pub(super) reference: Reference,
    pub(super) descriptor: Descriptor,
    /// The exact bytes, base64.
    pub(super) raw: String,
    #[serde(rename = "SchemaV2Manifest", skip_serializing_if = "Option::is_none")]
    docker: Option<Value>,
    #[serde(rename = "OCIManifest", skip_serializing_if = "Option::is_none")]
    oci: Option<Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<DistributionPlatform>,
}

/// Whether a document names manifests of several platforms.
pub(super) fn is_list(document: &Document) -> bool {
    [DOCKER_LIST, OCI_INDEX].contains(&document.media_type.as_str())
}

impl ImageManifest {
    /// Reads a manifest; what it runs on is in its configuration, unless that is
    /// known already.
    pub(super) fn of(
        repository: &Repository,
        reference: Reference,
        document: &Document,
        platform: Option<DistributionPlatform>,
    ) -> Result<Self, Error> {
        let parsed: Value = serde_json::from_slice(&document.bytes)
            .map_err(|error| Error::message(format!("{reference}: invalid manifest: {error}")))?;
        let shown = Some(shown(&parsed));
        let (docker, oci) = match document.media_type.as_str() {
            DOCKER => (shown, None),
            OCI => (None, shown),
            other => {
                return Err(Error::message(format!(
                    "{reference}: unsupported manifest format: {other:?}"
                )));
            }
        };
        let platform = match platform {
            Some(platform) => platform,
            None => of_config(repository, &parsed["config"])?,
        };
        Ok(Self {
            reference,
            descriptor: Descriptor {
                media_type: document.media_type.clone(),
                digest: document.digest,
                size: document.bytes.len() as u64,
                platform: Some(platform),
            },
            raw: STANDARD.encode(&document.bytes),
            docker,
            oci,
        })
    }

    /// The manifest itself, as `inspect` shows it.
    pub(super) fn plain(&self) -> &Value {
        static NULL: Value = Value::Null;
        self.docker.as_ref().or(self.oci.as_ref()).unwrap_or(&NULL)
    }

    /// The exact bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = STANDARD.decode(&self.raw).unwrap_or_default();
        match self.descriptor.digest.like(&bytes) == self.descriptor.digest {
            true => Ok(bytes),
            false => Err(Error::message(format!(
                "the local manifest of {} is damaged",
                self.reference
            ))),
        }
    }

    /// The digests and sizes of what the manifest needs.
    pub(super) fn blobs(&self) -> Vec<(Digest, u64)> {
        let manifest = self.plain();
        let layers = manifest["layers"].as_array().into_iter().flatten();
        layers
            .chain([&manifest["config"]])
            // What is to be had elsewhere is not the registry's.
            .filter(|blob| blob.get("urls").is_none())
            .filter_map(|blob| {
                let digest = blob["digest"].as_str()?.parse().ok()?;
                Some((digest, blob["size"].as_u64()?))
            })
            .collect()
    }
}

/// The list of manifests, its media type and its bytes, byte for byte as Docker
/// would send it.
pub(super) fn list(manifests: &[ImageManifest]) -> (&'static str, Vec<u8>) {
    let is_oci = manifests
        .first()
        .is_some_and(|first| first.descriptor.media_type == OCI);
    let media_type = if is_oci { OCI_INDEX } else { DOCKER_LIST };
    let entries: Vec<Value> = manifests
        .iter()
        .map(|manifest| {
            let descriptor = &manifest.descriptor;
            json!({
                "mediaType": descriptor.media_type,
                "size": descriptor.size,
                "digest": descriptor.digest,
                "platform": descriptor.platform.clone().unwrap_or_default(),
            })
        })
        .collect();
    let list = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
    (media_type, indented(&list, b"   ").into_bytes())
}

/// JSON with an indent, as Go writes it.
pub(super) fn indented(value: &impl Serialize, indent: &[u8]) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // Values of JSON have no way to fail.
    let _ = value.serialize(&mut writer);
    String::from_utf8(bytes).unwrap_or_default()
}

/// A manifest with what Docker knows of it, in its order.
fn shown(manifest: &Value) -> Value {
    let mut out = Map::new();
    for name in ["schemaVersion", "mediaType"] {
        if let Some(value) = manifest.get(name) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    let is_oci = manifest["mediaType"] == OCI;
    let blob = |descriptor: &Value| blob(descriptor, is_oci);
    out.insert("config".to_owned(), blob(&manifest["config"]));
    let layers = manifest["layers"].as_array().into_iter().flatten();
    out.insert("layers".to_owned(), layers.map(blob).collect());
    if let Some(value) = manifest.get("annotations") {
        out.insert("annotations".to_owned(), value.clone());
    }
    Value::Object(out)
}

/// A part of a manifest: Docker has one order for its own manifests, another for OCI's.
fn blob(descriptor: &Value, is_oci: bool) -> Value {
    let middle = match is_oci {
        true => ["digest", "size"],
        false => ["size", "digest"],
    };
    let names = [
        "mediaType",
        middle[0],
        middle[1],
        "urls",
        "annotations",
        "platform",
    ];
    let fields = names.iter().filter_map(|name| {
        let value = descriptor.get(name)?;
        Some(((*name).to_owned(), value.clone()))
    });
    Value::Object(fields.collect())
}

/// What the configuration of an image says that it runs on.
fn of_config(repository: &Repository, config: &Value) -> Result<DistributionPlatform, Error> {
    use std::io::Read;
    let wrong = |reason: &str| Error::message(format!("invalid configuration: {reason}"));
    let digest = config["digest"].as_str().and_then(|text| text.parse().ok());
    let digest: Digest = digest.ok_or_else(|| wrong("the manifest names none"))?;
    let size = config["size"].as_u64().filter(|size| *size <= MAX_CONFIG);
    let size = size.ok_or_else(|| wrong("it is too long"))?;
    let mut bytes = Vec::new();
    repository
        .blob(digest, size, 0)
        .map_err(failed)?
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(&error.to_string()))?;
    if digest.like(&bytes) != digest {
        return Err(wrong("it is not what its digest says"));
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))
}
