//! Signatures as cosign 3 attaches them: a manifest that refers to the image (OCI 1.1)
//! has as its layer a bundle of sigstore's, and that an envelope (DSSE) around a
//! statement (in-toto) that names the image's digest. It names no repository.
//!
//! ```text
//! {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": …,
//!  "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "payload": base64 of
//!     {"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": …}}],
//!      "predicateType": "https://sigstore.dev/cosign/sign/v1", …},
//!   "signatures": [{"sig": base64}]}}
//! signed: "DSSEv1 " length " " payloadType " " length " " payload
//! ```
//!
//! What else is in it (certificates, entries of public logs) is not checked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_types::Digest;
use serde_json::Value;

use crate::payload::clipped;
use crate::{MAX_MANIFEST, MAX_SIGNATURES, PublicKey};

/// How the media type of a bundle begins; its version follows.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/";
/// A signature of an image, and not a statement about what is in it.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
/// The most that a bundle may have.
pub(crate) const MAX_BUNDLE: u64 = 256 << 10;

/// An envelope whose signatures were not looked at yet.
#[derive(Debug)]
pub struct Envelope {
    /// What is signed.
    pub(crate) signed: Vec<u8>,
    pub(crate) signatures: Vec<Vec<u8>>,
    statement: Vec<u8>,
    certified: bool,
}

/// The digest and size of the bundle that a manifest holds, if it is one's.
pub(crate) fn of_manifest(bytes: &[u8]) -> Option<(Digest, u64)> {
    if bytes.len() > MAX_MANIFEST {
        return None;
    }
    let manifest: Value = serde_json::from_slice(bytes).ok()?;
    let layer = &manifest["layers"][0];
    let size = layer["size"].as_u64().filter(|size| *size <= MAX_BUNDLE)?;
    let is_bundle = layer["mediaType"].as_str()?.starts_with(MEDIA_TYPE);
    let digest = layer["digest"].as_str()?.parse().ok()?;
    is_bundle.then_some((digest, size))
}

impl Envelope {
    /// Reads a bundle; `None` for what holds no envelope around a statement.
    pub fn parse(bundle: &[u8]) -> Option<Self> {
        let bundle: Value = serde_json::from_slice(bundle).ok()?;
        let envelope = &bundle["dsseEnvelope"];
        if envelope["payloadType"] != PAYLOAD_TYPE {
            return None;
        }
        let statement = STANDARD.decode(envelope["payload"].as_str()?).ok()?;
        let signatures = envelope["signatures"].as_array()?.iter();
        let signatures = signatures.filter_map(|one| STANDARD.decode(one["sig"].as_str()?).ok());
        let head = format!(
            "DSSEv1 {} {PAYLOAD_TYPE} {} ",
            PAYLOAD_TYPE.len(),
            statement.len()
        );
        Some(Self {
            signed: [head.as_bytes(), &statement].concat(),
            signatures: signatures.take(MAX_SIGNATURES).collect(),
            statement,
            certified: ["certificate", "x509CertificateChain"]
                .iter()
                .any(|kind| !bundle["verificationMaterial"][kind].is_null()),
        })
    }

    /// Whether a certificate, which is not checked, stands for its key.
    pub fn is_certified(&self) -> bool {
        self.certified
    }

    /// What it states, as whoever has written it says, whose word it is: fit to be
    /// shown, and not to be believed.
    pub fn kind(&self) -> String {
        match serde_json::from_slice::<Value>(&self.statement) {
            Ok(statement) if statement["predicateType"] == SIGNED => "signature".to_owned(),
            Ok(statement) => clipped(statement["predicateType"].as_str().unwrap_or("unknown")),
            Err(_) => "unknown".to_owned(),
        }
    }

    /// Which of the keys has signed it, if it is about this image.
    pub fn signer(&self, image: Digest, keys: &[PublicKey]) -> Option<usize> {
        let has_signed = |key: &PublicKey| {
            let mut signatures = self.signatures.iter();
            signatures.any(|signature| key.has_signed(&self.signed, signature))
        };
        let key = keys.iter().position(has_signed)?;
        let statement: Value = serde_json::from_slice(&self.statement).ok()?;
        names(&statement, image).then_some(key)
    }

    /// Whether the statement, whose signature was found to be right, signs this image.
    ///
    /// # Errors
    /// Says what it states instead.
    pub(crate) fn signs(&self, image: Digest) -> Result<(), String> {
        let statement: Value = serde_json::from_slice(&self.statement)
            .map_err(|error| format!("the signed statement cannot be read: {error}"))?;
        let kind = statement["_type"].as_str().unwrap_or_default();
        if !kind.starts_with(STATEMENT) || statement["predicateType"] != SIGNED {
            return Err("what is signed is a statement about it, not the image".to_owned());
        }
        match names(&statement, image) {
            true => Ok(()),
            false => Err("its signature is that of another image".to_owned()),
        }
    }
}

/// Whether a statement is about this image.
fn names(statement: &Value, image: Digest) -> bool {
    let hex = image.hex();
    let mut subjects = statement["subject"].as_array().into_iter().flatten();
    subjects.any(|subject| subject["digest"][image.algorithm()] == hex)
}

/// A bundle as cosign writes it, for tests.
#[cfg(test)]
pub(crate) fn bundle(key: &crate::PrivateKey, kind: &str, hex: &str) -> Vec<u8> {
    use serde_json::json;
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hex}}],
        "predicateType": kind, "predicate": {},
    });
    let payload = STANDARD.encode(statement.to_string());
    let envelope = |sig: &[u8]| {
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "dsseEnvelope": {"payloadType": PAYLOAD_TYPE, "payload": payload,
                             "signatures": [{"sig": STANDARD.encode(sig)}]},
        })
    };
    let unsigned = Envelope::parse(envelope(b"").to_string().as_bytes()).unwrap();
    envelope(&key.sign(&unsigned.signed).unwrap())
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    #[test]
    fn a_statement_counts_for_its_image_alone() {
        let (key, _) = PrivateKey::generate().unwrap();
        let image = Digest::of(b"image");
        let envelope = Envelope::parse(&bundle(&key, SIGNED, &image.hex())).unwrap();
        let signature = &envelope.signatures[0];
        assert!(key.public().has_signed(&envelope.signed, signature));
        assert!(
            envelope
                .signed
                .starts_with(b"DSSEv1 28 application/vnd.in-toto+json ")
        );
        envelope.signs(image).unwrap();
        let known = [key.public()];
        assert_eq!(envelope.signer(image, &known), Some(0));
        assert_eq!(envelope.signer(Digest::of(b"other"), &known), None);
        assert_eq!(envelope.signer(image, &[]), None);
        assert!(envelope.kind() == "signature" && !envelope.is_certified());
        assert!(envelope.signs(Digest::of(b"other")).is_err());
        let other = bundle(&key, "https://slsa.dev/provenance/v1", &image.hex());
        let refused = Envelope::parse(&other).unwrap().signs(image).unwrap_err();
        assert!(refused.contains("statement about it"), "{refused}");
        assert!(Envelope::parse(b"{}").is_none() && Envelope::parse(b"x").is_none());
        let manifest = |size: u64| {
            format!(
                r#"{{"layers":[{{"mediaType":"{MEDIA_TYPE}.v0.3+json","digest":"{image}","size":{size}}}]}}"#
            )
        };
        assert_eq!(of_manifest(manifest(7).as_bytes()), Some((image, 7)));
        assert_eq!(of_manifest(manifest(MAX_BUNDLE + 1).as_bytes()), None);
        assert_eq!(of_manifest(b"{}"), None);
    }
}
