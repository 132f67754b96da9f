//! Manifests, indexes and other short documents, whole and compared with their digests.

use std::fmt;

use gantry_types::Digest;

use crate::http::Head;

/// A document as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// As the server says; if it says nothing, as the document itself says.
    pub media_type: String,
    /// Of the bytes: computed, and what was asked for where that was a digest.
    pub digest: Digest,
    /// As they came.
    pub bytes: Vec<u8>,
    /// The `host[:port]` that has answered.
    pub from: String,
    /// How much more the server lets us pull, where it tells.
    pub rate_limit: Option<RateLimit>,
}

/// What a server tells about how often we may ask (`RateLimit-Limit` and
/// `RateLimit-Remaining`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How often in all.
    pub limit: u64,
    /// How often from now on.
    pub remaining: u64,
    /// In which time, in seconds; 0 where it is not told.
    pub window: u64,
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, remaining) = (self.limit, self.remaining);
        write!(f, "Rate limit: {remaining} of {limit} pulls left")?;
        match self.window {
            0 => Ok(()),
            window if window % 3600 == 0 => write!(f, " (in {} hours)", window / 3600),
            window => write!(f, " (in {window} seconds)"),
        }
    }
}

impl RateLimit {
    /// Reads `100;w=21600`.
    pub(crate) fn of(head: &Head) -> Option<Self> {
        let number = |text: &str| text.split([';', ',']).next()?.trim().parse().ok();
        let limit = head.get("ratelimit-limit")?;
        let window = limit
            .split(';')
            .find_map(|part| part.trim().strip_prefix("w="));
        Some(Self {
            limit: number(limit)?,
            remaining: number(head.get("ratelimit-remaining")?)?,
            window: window.and_then(number).unwrap_or_default(),
        })
    }
}

/// What a manifest or index says that it is.
#[derive(serde::Deserialize)]
struct Said {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    #[serde(rename = "schemaVersion", default)]
    schema: u32,
}

/// The media type of a document: the header's, unless that says nothing.
pub(crate) fn media_type(head: &Head, bytes: &[u8]) -> String {
    let header = head.get("content-type").unwrap_or_default();
    let header = header.split(';').next().unwrap_or_default().trim();
    if !matches!(
        header,
        "" | "application/json" | "text/plain" | "application/octet-stream"
    ) {
        return header.to_owned();
    }
    match serde_json::from_slice::<Said>(bytes) {
        Ok(said) if !said.media_type.is_empty() => said.media_type,
        Ok(said) if said.schema == 1 => SCHEMA1.to_owned(),
        _ => header.to_owned(),
    }
}

/// The manifests before 2016.
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// What we say that we can read. The old ones are in it so that the answer is a
/// document that can be refused by name, and not "unknown".
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws, \
    application/vnd.docker.distribution.manifest.v1+json";
