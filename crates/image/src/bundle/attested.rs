//! What is known of an image, beside it: statements of in-toto in a manifest of their
//! own, which the index names, as BuildKit stores them.

use gantry_types::{Descriptor, Platform, Reference, media_type};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::documents::document;
use super::{Part, Style, bounded};
use crate::portable::{Document, descriptor};
use crate::{Error, Result};

const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
const STATEMENT_MEDIA_TYPE: &str = "application/vnd.in-toto+json";
const ARTIFACT: &str = "application/vnd.docker.attestation.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const PREDICATE: &str = "in-toto.io/predicate-type";

/// Something that is known of an image.
#[derive(Debug, Clone)]
pub struct Attestation {
    /// Which kind of thing.
    pub predicate_type: String,
    /// What, as JSON.
    pub predicate: Box<RawValue>,
    /// Of what, where that is not the image.
    pub subjects: Vec<Value>,
}

/// The statements about one manifest.
pub(crate) struct Attested {
    pub(crate) manifest: Document,
    /// Its configuration, and the statements.
    pub(crate) blobs: Vec<Document>,
}

impl Attested {
    pub(super) fn new(of: &Document, part: &Part, style: &Style) -> Result<Self> {
        let statements = part.attestations.iter().map(|attestation| {
            let subjects = style.names.iter().map(|name| {
                json!({
                    "name": package_url("docker", name, Some(&part.platform)),
                    "digest": {"sha256": of.digest.hex()},
                })
            });
            document(STATEMENT_MEDIA_TYPE, &attestation.about(subjects.collect()))
        });
        let mut blobs = statements.collect::<Result<Vec<_>>>()?;
        let layers = std::iter::zip(&blobs, &part.attestations).map(|(statement, attestation)| {
            let words = [(PREDICATE.to_owned(), attestation.predicate_type.clone())];
            Descriptor {
                annotations: Some(words.into()),
                ..statement.descriptor()
            }
        });
        let layers: Vec<Descriptor> = layers.collect();
        let (config, mut manifest) = match style.artifacts {
            true => {
                let subject = descriptor(&of.media_type, of.digest, of.bytes.len() as u64);
                let config = bounded(Document::new(EMPTY, b"{}".to_vec()))?;
                let more = json!({"artifactType": ARTIFACT, "subject": subject});
                (config, more)
            }
            false => {
                let diff_ids = blobs.iter().map(|statement| statement.digest.to_string());
                let config = json!({
                    "architecture": "unknown", "os": "unknown", "config": {},
                    "rootfs": {"type": "layers", "diff_ids": diff_ids.collect::<Vec<_>>()},
                });
                (document(media_type::OCI_CONFIG, &config)?, json!({}))
            }
        };
        manifest["schemaVersion"] = json!(2);
        manifest["mediaType"] = json!(media_type::OCI_MANIFEST);
        manifest["config"] = json!(config.descriptor());
        manifest["layers"] = json!(layers);
        blobs.insert(0, config);
        Ok(Self {
            manifest: document(media_type::OCI_MANIFEST, &manifest)?,
            blobs,
        })
    }

    /// From documents that are kept.
    pub(super) fn read(
        manifest: Document,
        find: &dyn Fn(&Descriptor) -> Option<Document>,
    ) -> Option<Self> {
        let named: gantry_types::Manifest = serde_json::from_slice(&manifest.bytes).ok()?;
        let blobs = std::iter::once(&named.config).chain(&named.layers);
        let blobs = blobs.map(find).collect::<Option<Vec<_>>>()?;
        Some(Self { manifest, blobs })
    }
}

#[derive(serde::Serialize)]
struct Statement<'s> {
    #[serde(rename = "_type")]
    kind: &'s str,
    #[serde(rename = "predicateType")]
    predicate_type: &'s str,
    subject: Vec<Value>,
    predicate: &'s RawValue,
}

/// The package URL of an image.
pub fn package_url(kind: &str, name: &Reference, platform: Option<&Platform>) -> String {
    let tagged = match name.digest() {
        Some(_) => name.clone(),
        None => name.clone().or_latest(),
    };
    let path = tagged.familiar_name();
    let path: Vec<String> = path.split('/').map(escaped).collect();
    let mut url = format!("pkg:{kind}/{}", path.join("/"));
    if let Some(tag) = tagged.tag() {
        url += &format!("@{}", escaped(tag));
    }
    let digest = tagged.digest().map(|digest| ("digest", digest.to_string()));
    let platform = platform.map(|platform| ("platform", platform.to_string()));
    for (number, (name, value)) in digest.into_iter().chain(platform).enumerate() {
        let mark = if number == 0 { '?' } else { '&' };
        url += &format!("{mark}{name}={}", escaped(&value));
    }
    url
}

/// A part of a package URL.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                escaped.push(byte.into());
            }
            other => escaped += &format!("%{other:02X}"),
        }
    }
    escaped
}

impl Attestation {
    /// Something that is known, as JSON.
    ///
    /// # Errors
    /// `Invalid` for what cannot be written as JSON.
    pub fn new(predicate_type: &str, predicate: &Value) -> Result<Self> {
        let predicate = serde_json::value::to_raw_value(predicate)
            .map_err(|error| Error::Invalid(format!("an attestation: {error}")))?;
        Ok(Self {
            predicate_type: predicate_type.to_owned(),
            predicate,
            subjects: Vec::new(),
        })
    }

    /// The statement, about `subjects` unless it is about others.
    fn about(&self, subjects: Vec<Value>) -> Statement<'_> {
        Statement {
            kind: STATEMENT,
            predicate_type: &self.predicate_type,
            subject: match self.subjects.is_empty() {
                true => subjects,
                false => self.subjects.clone(),
            },
            predicate: &self.predicate,
        }
    }

    /// The same for people.
    ///
    /// # Errors
    /// `Invalid` for what cannot be written as JSON.
    pub fn readable(&self, subjects: Vec<Value>) -> Result<Vec<u8>> {
        let wrong = |error| Error::Invalid(format!("an attestation: {error}"));
        let statement = serde_json::to_value(self.about(subjects)).map_err(wrong)?;
        serde_json::to_vec_pretty(&statement).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_package_urls_as_buildkit_writes_them() {
        let url = |name: &str| {
            let platform = "linux/amd64".parse().unwrap();
            package_url("docker", &name.parse().unwrap(), Some(&platform))
        };
        assert_eq!(
            url("busybox"),
            "pkg:docker/busybox@latest?platform=linux%2Famd64"
        );
        assert_eq!(
            url("localhost:5000/a/b:1.0+x".trim_end_matches("+x")),
            "pkg:docker/localhost:5000/a/b@1.0?platform=linux%2Famd64"
        );
    }
}
