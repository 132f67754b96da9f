//! What a registry reads of a manifest: what it is, what it consists of, and
//! what it says something about. The bytes themselves are never changed.

use std::collections::{BTreeMap, BTreeSet};

use gantry_types::{Digest, media_type};
use serde::Deserialize;

/// The longest manifest that is taken.
pub(crate) const MAX_SIZE: usize = 4 << 20;
/// The longest media type that is taken.
const MAX_MEDIA_TYPE: usize = 255;
/// Signed manifests of the first schema.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";
/// Layers that are never pushed to a registry.
const FOREIGN: &[&str] = &[
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.",
];

/// The fields that are read; anything else is the clients' business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Part>,
    layers: Option<Vec<Part>>,
    blobs: Option<Vec<Part>>,
    manifests: Option<Vec<Part>>,
    subject: Option<Part>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    media_type: Option<String>,
    digest: String,
}

impl Part {
    fn is_foreign(&self) -> bool {
        let kind = self.media_type.as_deref().unwrap_or("");
        FOREIGN.iter().any(|foreign| kind.starts_with(foreign))
    }
}

/// A manifest that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) media_type: String,
    pub(crate) artifact_type: Option<String>,
    pub(crate) subject: Option<Digest>,
    /// A JSON object.
    pub(crate) annotations: Option<String>,
    /// The blobs that it consists of, each once.
    pub(crate) blobs: Vec<Digest>,
    /// The manifests that it consists of, each once.
    pub(crate) manifests: Vec<Digest>,
}

/// Reads a manifest that came with this `Content-Type`.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Parsed, String> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| format!("not a manifest: {error}"))?;
    let media_type = media_type(&document, content_type)?;
    if media_type.starts_with(SCHEMA_1) {
        return Err("manifests of schema 1 are not supported".to_owned());
    }
    let digests = |parts: &[&[Part]]| {
        let own = parts.iter().copied().flatten();
        own.filter(|part| !part.is_foreign())
            .map(|part| part.digest.parse().map_err(|error| format!("{error}")))
            .collect::<Result<BTreeSet<Digest>, String>>()
            .map(Vec::from_iter)
    };
    let blobs = digests(&[
        document.config.as_slice(),
        document.layers.as_deref().unwrap_or(&[]),
        document.blobs.as_deref().unwrap_or(&[]),
    ])?;
    let manifests = digests(&[document.manifests.as_deref().unwrap_or(&[])])?;
    let subject = document.subject.map(|subject| subject.digest.parse());
    let subject = subject
        .transpose()
        .map_err(|error| format!("subject: {error}"))?;
    let given = document.artifact_type.filter(|kind| !kind.is_empty());
    let artifact_type = given.or_else(|| document.config.and_then(|config| config.media_type));
    let annotations = document.annotations.filter(|found| !found.is_empty());
    Ok(Parsed {
        media_type,
        artifact_type,
        subject,
        annotations: annotations.map(|found| serde_json::json!(found).to_string()),
        blobs,
        manifests,
    })
}

/// What the sender says it is: in the header, in the document, or both alike.
fn media_type(document: &Document, content_type: Option<&str>) -> Result<String, String> {
    let declared = content_type.map(|text| text.split(';').next().unwrap_or("").trim());
    let declared = declared.filter(|text| !text.is_empty());
    let own = document
        .media_type
        .as_deref()
        .filter(|text| !text.is_empty());
    let found = match (declared, own) {
        (Some(declared), Some(own)) if declared != own => {
            return Err(format!(
                "the Content-Type is {declared:?}, but the manifest says {own:?}"
            ));
        }
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) if document.manifests.is_some() => media_type::OCI_INDEX,
        (None, None) => media_type::OCI_MANIFEST,
    };
    let sound = found.len() <= MAX_MEDIA_TYPE
        && found.contains('/')
        && found.bytes().all(|byte| byte.is_ascii_graphic());
    match sound {
        true => Ok(found.to_owned()),
        false => Err(format!("invalid media type {found:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn parts_and_kinds_are_found() {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/config","digest":"{D}","size":0}},
            "layers":[{{"mediaType":"a/b","digest":"{D}","size":0}},
            {{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar",
              "digest":"sha256:{}","size":0}}],
            "subject":{{"mediaType":"a/b","digest":"{D}","size":0}},"annotations":{{"k":"v"}}}}"#,
            "0".repeat(64)
        );
        let parsed = parse(text.as_bytes(), Some("a/b; charset=utf-8")).unwrap();
        assert_eq!(parsed.media_type, "a/b");
        assert_eq!(parsed.artifact_type.as_deref(), Some("a/config"));
        assert_eq!(parsed.blobs, [D.parse().unwrap()]);
        assert_eq!(parsed.manifests, []);
        assert_eq!(parsed.subject, Some(D.parse().unwrap()));
        assert_eq!(parsed.annotations.as_deref(), Some(r#"{"k":"v"}"#));
    }

    #[test]
    fn the_media_type_comes_from_where_it_is() {
        let kind = |text: &str, header| parse(text.as_bytes(), header).map(|p| p.media_type);
        assert_eq!(kind("{}", None).unwrap(), media_type::OCI_MANIFEST);
        assert_eq!(
            kind(r#"{"manifests":[]}"#, None).unwrap(),
            media_type::OCI_INDEX
        );
        assert_eq!(kind(r#"{"mediaType":"a/b"}"#, None).unwrap(), "a/b");
        assert!(kind(r#"{"mediaType":"a/b"}"#, Some("a/c")).is_err());
        for (text, header) in [
            ("[]", None),
            ("", None),
            ("{}", Some("nothing")),
            ("{}", Some("a/b c")),
            (
                "{}",
                Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            ),
            (r#"{"config":{"digest":"md5:1"}}"#, None),
            (r#"{"layers":{}}"#, None),
        ] {
            assert!(kind(text, header).is_err(), "{text}");
        }
    }
}
