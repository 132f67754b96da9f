//! What a registry says about images that are not here.

use serde::{Deserialize, Serialize};

use crate::body::null_is_default as nullable;

/// The answer of `GET /distribution/{name}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DistributionInspect {
    /// The manifest or index.
    pub descriptor: DistributionDescriptor,
    /// What it runs on, as far as that is known.
    pub platforms: Option<Vec<DistributionPlatform>>,
}

/// Where a document is to be had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DistributionDescriptor {
    /// What kind of document.
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// Its bytes.
    pub size: u64,
}

/// One line of the answer of `GET /images/search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// How many like it.
    pub star_count: i64,
    /// Whether the registry's owner looks after it.
    pub is_official: bool,
    /// The repository.
    pub name: String,
    /// Always false by now.
    pub is_automated: bool,
    /// What its owner says about it.
    pub description: String,
}

/// A platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DistributionPlatform {
    /// `amd64` and so on.
    #[serde(deserialize_with = "nullable")]
    pub architecture: String,
    /// `linux`.
    #[serde(deserialize_with = "nullable")]
    pub os: String,
    /// Windows only.
    #[serde(rename = "os.version")]
    #[serde(deserialize_with = "nullable", skip_serializing_if = "str::is_empty")]
    pub os_version: String,
    /// Windows only.
    #[serde(rename = "os.features")]
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// `v8` and so on.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "str::is_empty")]
    pub variant: String,
}
