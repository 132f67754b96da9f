//! What a registry's documents say: which of several manifests is meant, and which
//! layers make the image. Anything that is no image is refused by its name.

use gantry_registry::{Cancel, Document};
use gantry_types::{Descriptor, Digest, Index, Manifest, Platform, media_type};
use serde::de::DeserializeOwned;

use super::source::{Source, Wanted};
use crate::{Error, MAX_DOCUMENT, MAX_LAYERS, Result};

/// Most descriptors of one index.
const MAX_MANIFESTS: usize = 4096;
/// An index may hold an index, but not for ever.
const MAX_DEPTH: usize = 4;

const SCHEMA_1: [&str; 3] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/json",
];
const CONFIGS: [&str; 4] = [
    media_type::DOCKER_CONFIG,
    media_type::OCI_CONFIG,
    // As registries of long ago have named it.
    "application/octet-stream",
    "text/html",
];

/// An image as its registry describes it.
pub(super) struct Described {
    /// The manifest's own bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
}

impl Described {
    /// The manifest's own digest.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Follows `document` to the manifest of the platform.
///
/// # Errors
/// `Manifest`, `NoManifest`, `Unsupported`, and those of the source.
pub(super) fn follow(
    source: &dyn Source,
    mut document: Document,
    platform: Option<&Platform>,
    cancel: &Cancel,
) -> Result<Described> {
    for _ in 0..MAX_DEPTH {
        match kind(&document)? {
            Kind::Manifest => {
                let manifest = manifest(&document)?;
                return Ok(Described {
                    bytes: document.bytes,
                    manifest,
                });
            }
            Kind::Index => {
                let index: Index = parse(&document)?;
                let chosen = choose(index, platform)?;
                document = source.digest(chosen, cancel)?;
            }
        }
    }
    Err(Error::Manifest(
        "manifest lists within manifest lists without end".to_owned(),
    ))
}

enum Kind {
    Manifest,
    Index,
}

/// What the document is. The registry's word counts only where the document has
/// none itself.
fn kind(document: &Document) -> Result<Kind> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct Own {
        media_type: String,
        schema_version: u32,
        config: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    if document.bytes.len() as u64 > MAX_DOCUMENT {
        let text = format!("manifest is longer than {MAX_DOCUMENT} bytes");
        return Err(Error::Manifest(text));
    }
    let own: Own = parse(document)?;
    if own.schema_version == 1 {
        return Err(Error::Unsupported(
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has \
             been removed. More information at \
             https://docs.docker.com/go/deprecated-image-specs/"
                .to_owned(),
        ));
    }
    let served = document.media_type.as_str();
    let named = match own.media_type.as_str() {
        "" if SCHEMA_1.contains(&served) => "",
        "" => served,
        own => own,
    };
    // One may not be read as the other (CVE-2021-41190).
    if own.config.is_some() && own.manifests.is_some() {
        let text = "ambiguous manifest: it is both a manifest and a list of manifests";
        return Err(Error::Manifest(text.to_owned()));
    }
    match named {
        media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST => Ok(Kind::Index),
        media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => Ok(Kind::Manifest),
        "" if own.manifests.is_some() => Ok(Kind::Index),
        "" if own.config.is_some() => Ok(Kind::Manifest),
        other => Err(Error::Manifest(format!(
            "unsupported manifest media type and no default available: {other}"
        ))),
    }
}

fn parse<T: DeserializeOwned>(document: &Document) -> Result<T> {
    serde_json::from_slice(&document.bytes)
        .map_err(|error| Error::Manifest(format!("manifest {}: {error}", document.digest)))
}

fn manifest(document: &Document) -> Result<Manifest> {
    let manifest: Manifest = parse(document)?;
    if manifest.schema_version != 2 {
        let version = manifest.schema_version;
        let text = format!("unknown manifest schema version {version}");
        return Err(Error::Manifest(text));
    }
    let config = manifest.config.media_type.as_str();
    if !CONFIGS.contains(&config) {
        return Err(refused(config));
    }
    if manifest.config.size > MAX_DOCUMENT {
        let text = format!("image configuration is longer than {MAX_DOCUMENT} bytes");
        return Err(Error::Manifest(text));
    }
    let count = manifest.layers.len();
    if count > MAX_LAYERS {
        let text = format!("max depth exceeded: {count} layers, at most {MAX_LAYERS}");
        return Err(Error::Manifest(text));
    }
    if let Some(layer) = manifest.layers.iter().find(|layer| !is_layer(layer)) {
        return Err(refused(&layer.media_type));
    }
    Ok(manifest)
}

/// What is no image, in Docker's words.
fn refused(media_type: &str) -> Error {
    let class = match media_type {
        "application/vnd.docker.plugin.v1+json" => "plugin",
        _ => "unknown",
    };
    Error::Manifest(format!(
        "Encountered remote {media_type:?}({class}) when fetching"
    ))
}

fn is_layer(layer: &Descriptor) -> bool {
    let known = [
        media_type::OCI_LAYER,
        media_type::OCI_LAYER_GZIP,
        media_type::OCI_LAYER_ZSTD,
        media_type::DOCKER_LAYER,
        media_type::DOCKER_LAYER_GZIP,
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    ];
    known.contains(&layer.media_type.as_str()) || is_foreign(&layer.media_type)
}

/// Whether a layer is one that registries do not have themselves.
fn is_foreign(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar")
        || media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
}

/// What is to be fetched for a layer.
pub(super) fn wanted(layer: &Descriptor) -> Wanted {
    let mut wanted = Wanted::of(layer);
    if is_foreign(&layer.media_type) {
        wanted.urls = layer.urls.clone().unwrap_or_default();
    }
    wanted
}

/// The manifest of the platform that is asked for, or of this host.
fn choose(index: Index, platform: Option<&Platform>) -> Result<Digest> {
    if index.manifests.len() > MAX_MANIFESTS {
        let text = format!("more than {MAX_MANIFESTS} manifests");
        return Err(Error::Manifest(text));
    }
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    let rank = |descriptor: &Descriptor| match &descriptor.platform {
        // Those that name nothing are for everybody, after all others.
        None => Some(usize::MAX),
        Some(have) if have.os.is_empty() && have.architecture.is_empty() => Some(usize::MAX),
        Some(have) => have.rank_for(&wanted),
    };
    index
        .manifests
        .iter()
        .filter_map(|descriptor| Some((rank(descriptor)?, descriptor.digest)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, digest)| digest)
        .ok_or_else(|| Error::NoManifest(wanted.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str, media_type: &str) -> Document {
        Document {
            media_type: media_type.to_owned(),
            digest: Digest::of(text.as_bytes()),
            bytes: text.as_bytes().to_vec(),
            from: String::new(),
            rate_limit: None,
        }
    }

    fn failure(text: &str, media_type: &str) -> String {
        let document = document(text, media_type);
        match kind(&document).and_then(|_| manifest(&document)) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn image(config: &str, layer: &str) -> String {
        let digest = Digest::of(b"");
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","digest":"{digest}","size":2}},
            "layers":[{{"mediaType":"{layer}","digest":"{digest}","size":0}}]}}"#
        )
    }

    #[test]
    fn what_is_no_image_is_named() {
        let oci = media_type::OCI_MANIFEST;
        let layer = media_type::OCI_LAYER_GZIP;
        assert_eq!(failure(&image(media_type::OCI_CONFIG, layer), oci), "fine");
        let helm = "application/vnd.cncf.helm.config.v1+json";
        assert_eq!(
            failure(&image(helm, layer), oci),
            format!("Encountered remote {helm:?}(unknown) when fetching")
        );
        let text = failure(&image(media_type::OCI_CONFIG, "text/plain"), oci);
        assert!(text.contains("text/plain"), "{text}");
        let text = failure(r#"{"schemaVersion":1,"name":"x"}"#, SCHEMA_1[1]);
        assert!(text.contains("schema 1 support has been removed"), "{text}");
        let text = failure(r#"{"schemaVersion":2,"config":{},"manifests":[]}"#, oci);
        assert!(text.contains("ambiguous"), "{text}");
        assert!(failure("{", oci).contains("EOF"));
        assert!(failure(r#"{"schemaVersion":2}"#, "x/y").contains("x/y"));
    }

    #[test]
    fn the_platform_decides() {
        let digest = |name: &str| Digest::of(name.as_bytes());
        let entry = |name: &str, platform: &str| {
            let parsed: Platform = platform.parse().unwrap();
            Descriptor {
                media_type: media_type::OCI_MANIFEST.to_owned(),
                digest: digest(name),
                size: 1,
                platform: Some(parsed),
                annotations: None,
                urls: None,
            }
        };
        let index = || Index {
            schema_version: 2,
            media_type: None,
            manifests: vec![
                entry("attestation", "unknown/unknown"),
                entry("386", "linux/386"),
                entry("v6", "linux/arm/v6"),
                entry("v7", "linux/arm/v7"),
                entry("amd64", "linux/amd64"),
                entry("arm64", "linux/arm64/v8"),
            ],
            annotations: None,
        };
        for (wanted, name) in [
            ("linux/amd64", "amd64"),
            ("linux/386", "386"),
            ("linux/arm", "v7"),
            ("linux/arm/v6", "v6"),
            ("linux/arm64", "arm64"),
            ("linux/arm64/v8", "arm64"),
        ] {
            let platform: Platform = wanted.parse().unwrap();
            assert_eq!(choose(index(), Some(&platform)).unwrap(), digest(name));
        }
        let error = choose(index(), Some(&"linux/s390x".parse().unwrap())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no matching manifest for linux/s390x in the manifest list entries"
        );
    }
}
