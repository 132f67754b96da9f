//! What is signed: "simple signing", as cosign writes it.
//!
//! ```text
//! {"critical":{"identity":{"docker-reference":"<registry>/<repository>"},
//!              "image":{"docker-manifest-digest":"sha256:…"},
//!              "type":"cosign container image signature"},
//!  "optional":{…}}
//! ```

use std::collections::BTreeMap;

use gantry_types::{Digest, Reference};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What cosign writes, and what the format's inventors write.
const TYPES: [&str; 2] = [
    "cosign container image signature",
    "atomic container signature",
];

/// The statement that a repository's image has this digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The repository, in full.
    pub repository: String,
    /// The tag, where the statement is about one only.
    pub tag: Option<String>,
    /// The digest of the manifest or index.
    pub digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct Document {
    critical: Critical,
    #[serde(default)]
    optional: Option<BTreeMap<String, Value>>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

impl Payload {
    /// The bytes to sign; `optional` is for people, and believed by nobody.
    pub fn to_bytes(&self, optional: BTreeMap<String, Value>) -> Vec<u8> {
        let mut reference = self.repository.clone();
        if let Some(tag) = &self.tag {
            reference.push(':');
            reference.push_str(tag);
        }
        let document = Document {
            critical: Critical {
                identity: Identity { reference },
                image: Image {
                    digest: self.digest,
                },
                kind: TYPES[0].to_owned(),
            },
            optional: Some(optional).filter(|map| !map.is_empty()),
        };
        // Text, digests and JSON values have no way to fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Reads bytes whose signature was found to be right.
    ///
    /// # Errors
    /// Says what they are instead.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| format!("the signed payload cannot be read: {error}"))?;
        let critical = document.critical;
        if !TYPES.contains(&critical.kind.as_str()) {
            return Err(format!(
                "the signed payload is of another type: {:?}",
                clipped(&critical.kind)
            ));
        }
        let text = &critical.identity.reference;
        let identity: Reference = text.parse().map_err(|_| {
            format!(
                "the signed payload names no repository: {:?}",
                clipped(text)
            )
        })?;
        Ok(Self {
            repository: identity.name(),
            tag: identity.tag().map(str::to_owned),
            digest: critical.image.digest,
        })
    }
}

/// The beginning of a text that somebody else wrote.
pub(crate) fn clipped(text: &str) -> String {
    let shown = text.chars().filter(|character| !character.is_control());
    shown.take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Payload {
        Payload {
            repository: "docker.io/library/app".to_owned(),
            tag: None,
            digest: Digest::of(b"image"),
        }
    }

    #[test]
    fn round_trip() {
        let bytes = payload().to_bytes(BTreeMap::new());
        assert_eq!(Payload::parse(&bytes).unwrap(), payload());
        let tagged = Payload {
            tag: Some("v1".to_owned()),
            ..payload()
        };
        let more = BTreeMap::from([("by".to_owned(), Value::from("me"))]);
        assert_eq!(Payload::parse(&tagged.to_bytes(more)).unwrap(), tagged);
    }

    #[test]
    fn what_cosign_writes_is_read() {
        let digest = Digest::of(b"image");
        for optional in ["null", r#"{"creator":"x","n":{"a":1}}"#] {
            let text = format!(
                r#"{{"critical":{{"identity":{{"docker-reference":"index.docker.io/library/app"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":{optional}}}"#
            );
            assert_eq!(Payload::parse(text.as_bytes()).unwrap(), payload());
        }
    }

    #[test]
    fn anything_else_is_none() {
        let text = String::from_utf8(payload().to_bytes(BTreeMap::new())).unwrap();
        for (from, to) in [
            ("cosign container", "other container"),
            ("docker.io/library/app", "Not A Name"),
            ("sha256:", "sha512:"),
            ("critical", "uncritical"),
            ("{", "["),
        ] {
            assert!(
                Payload::parse(text.replacen(from, to, 1).as_bytes()).is_err(),
                "{to}"
            );
        }
        let deep = "[".repeat(100_000);
        assert!(Payload::parse(deep.as_bytes()).is_err());
    }
}
