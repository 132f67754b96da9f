//! The manifest that holds the signatures of one image: an OCI image manifest
//! whose layers are payloads. What others put there stays as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_types::Digest;
use serde_json::{Value, json};

use crate::{Error, MAX_MANIFEST, MAX_PAYLOAD, MAX_SIGNATURES};

/// The media type of the manifest.
pub const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The longest signature as text; one of P-256 has at most 72 bytes.
const MAX_SIGNATURE_TEXT: usize = 128;

/// The tag below which the signatures of an image are. Its digest is by sha256: a tag has no
/// room for a longer one.
pub fn tag_of(image: Digest) -> String {
    format!("sha256-{}.sig", image.hex())
}

/// Whether a tag is that of an image's signatures, and not of an image.
pub fn is_tag_of_signatures(tag: &str) -> bool {
    let hex = tag
        .strip_prefix("sha256-")
        .and_then(|rest| rest.strip_suffix(".sig"));
    hex.is_some_and(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok())
}

/// One signature: of which payload, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The digest of the payload, a blob of the same repository.
    pub payload: Digest,
    /// Its bytes.
    pub size: u64,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// All signatures of one image.
#[derive(Debug, Clone, Default)]
pub struct SignatureManifest {
    layers: Vec<Value>,
}

impl SignatureManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::Manifest`] when it is no manifest or too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Manifest(reason.to_owned());
        if bytes.len() > MAX_MANIFEST {
            return Err(wrong("it is too large"));
        }
        let mut document: Value =
            serde_json::from_slice(bytes).map_err(|error| Error::Manifest(error.to_string()))?;
        if document["schemaVersion"] != 2 {
            return Err(wrong("schemaVersion is not 2"));
        }
        let layers = match document["layers"].take() {
            Value::Array(layers) => layers,
            Value::Null => Vec::new(),
            _ => return Err(wrong("layers is no list")),
        };
        Ok(Self { layers })
    }

    /// The signatures in it that can be understood, a bounded number of them.
    pub fn signatures(&self) -> Vec<Signature> {
        let found = self.layers.iter().filter_map(signature);
        found.take(MAX_SIGNATURES).collect()
    }

    /// Adds one.
    pub fn add(&mut self, payload: &[u8], signature: &[u8]) {
        self.layers.push(json!({
            "mediaType": PAYLOAD,
            "size": payload.len(),
            "digest": Digest::of(payload),
            "annotations": {ANNOTATION: STANDARD.encode(signature)},
        }));
    }

    /// Takes out the signatures for which `gone` holds, and answers how many.
    pub fn remove(&mut self, gone: impl Fn(&Signature) -> bool) -> usize {
        let before = self.layers.len();
        self.layers
            .retain(|layer| !signature(layer).is_some_and(|found| gone(&found)));
        before - self.layers.len()
    }

    /// Whether nothing is left in it.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The bytes of its config, which a registry must have first.
    pub fn config(&self) -> Vec<u8> {
        let digests: Vec<&Value> = self.layers.iter().map(|layer| &layer["digest"]).collect();
        let document = json!({
            "architecture": "",
            "created": "0001-01-01T00:00:00Z",
            "history": [{"created": "0001-01-01T00:00:00Z"}],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": digests},
            "config": {},
        });
        document.to_string().into_bytes()
    }

    /// The bytes of the manifest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let config = self.config();
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": {
                "mediaType": CONFIG,
                "size": config.len(),
                "digest": Digest::of(&config),
            },
            "layers": self.layers,
        });
        document.to_string().into_bytes()
    }
}

/// The signature in a layer, when it is one of those that are known here.
fn signature(layer: &Value) -> Option<Signature> {
    if layer["mediaType"] != PAYLOAD {
        return None;
    }
    let size = layer["size"].as_u64().filter(|size| *size <= MAX_PAYLOAD)?;
    let text = layer["annotations"][ANNOTATION].as_str()?;
    if text.len() > MAX_SIGNATURE_TEXT {
        return None;
    }
    Some(Signature {
        payload: layer["digest"].as_str()?.parse().ok()?,
        size,
        bytes: STANDARD.decode(text).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_added_found_and_removed() {
        let mut manifest = SignatureManifest::default();
        manifest.add(b"one", b"sig1");
        manifest.add(b"one", b"sig2");
        let again = SignatureManifest::parse(&manifest.to_bytes()).unwrap();
        let found = again.signatures();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].payload, Digest::of(b"one"));
        assert_eq!(
            (found[1].size, found[1].bytes.as_slice()),
            (3, &b"sig2"[..])
        );
        assert_eq!(manifest.remove(|found| found.bytes == b"sig1"), 1);
        assert_eq!(manifest.signatures()[0].bytes, b"sig2");
        assert_eq!(manifest.remove(|_| true), 1);
        assert!(manifest.is_empty());
        assert!(is_tag_of_signatures(&tag_of(Digest::of(b"x"))));
        assert!(!is_tag_of_signatures("sha256-0.sig") && !is_tag_of_signatures("latest"));
    }

    #[test]
    fn what_others_put_there_stays() {
        let text = r#"{"schemaVersion":2,"layers":[{"mediaType":"x/y","digest":"?","size":1}]}"#;
        let mut manifest = SignatureManifest::parse(text.as_bytes()).unwrap();
        assert!(manifest.signatures().is_empty());
        manifest.add(b"p", b"s");
        manifest.remove(|_| true);
        let bytes = String::from_utf8(manifest.to_bytes()).unwrap();
        assert!(bytes.contains("x/y"), "{bytes}");
    }

    #[test]
    fn hostile_manifests_are_bounded() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"schemaVersion":1}"#,
            r#"{"schemaVersion":2,"layers":"x"}"#,
            &"[".repeat(200_000),
            &" ".repeat(MAX_MANIFEST + 1),
        ] {
            assert!(SignatureManifest::parse(text.as_bytes()).is_err());
        }
        let layer = |size: u64, text: &str| {
            json!({"mediaType": PAYLOAD, "size": size, "digest": Digest::of(b"x"),
                   "annotations": {ANNOTATION: text}})
        };
        let layers = vec![layer(1, "MEUC"); 500];
        let many = json!({"schemaVersion": 2, "layers": layers}).to_string();
        let many = SignatureManifest::parse(many.as_bytes()).unwrap();
        assert_eq!(many.signatures().len(), MAX_SIGNATURES);
        for wrong in [
            layer(MAX_PAYLOAD + 1, "MEUC"),
            layer(1, &"A".repeat(1000)),
            layer(1, "***"),
            json!({"mediaType": PAYLOAD, "size": -1}),
            json!(null),
        ] {
            assert!(signature(&wrong).is_none());
        }
    }
}
