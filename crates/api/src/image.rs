//! Bodies of `/images/*`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::body::is_default;
use crate::{Config, Empty, GraphDriver, HealthCheck};

body! {
    /// One line of `docker images`.
    pub struct ImageSummary {
        /// Containers that use it; −1 when not counted.
        pub containers: i64,
        /// Seconds since the epoch.
        pub created: i64,
        /// `sha256:…`.
        pub id: String,
        /// Of its configuration.
        pub labels: Option<BTreeMap<String, String>>,
        /// Of the image it was built on by the classic builder.
        pub parent_id: String,
        /// `name@sha256:…`.
        pub repo_digests: Vec<String>,
        /// `name:tag`.
        pub repo_tags: Vec<String>,
        /// Bytes shared with other images; −1 when not counted.
        pub shared_size: i64,
        /// Bytes, unpacked.
        pub size: i64,
        /// Before API 1.44: `size` again.
        #[serde(skip_serializing_if = "is_default")]
        pub virtual_size: i64,
        /// With `manifests`: what of it there is for each platform.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub manifests: Option<Vec<serde_json::Value>>,
    }

    /// Everything about one image.
    pub struct ImageInspect {
        /// `sha256:…`.
        pub id: String,
        /// `name:tag`.
        pub repo_tags: Vec<String>,
        /// `name@sha256:…`.
        pub repo_digests: Vec<String>,
        /// Of the image it was built on by the classic builder.
        pub parent: String,
        /// The message of the commit or import.
        pub comment: String,
        /// RFC 3339.
        #[serde(skip_serializing_if = "is_default")]
        pub created: String,
        /// Before API 1.45: the configuration of the container it was made from.
        #[serde(skip_serializing_if = "is_default")]
        pub container_config: Option<Config>,
        /// The version of the engine that made it.
        pub docker_version: String,
        /// Who made it.
        pub author: String,
        /// `GOARCH`.
        pub architecture: String,
        /// Of the architecture.
        #[serde(skip_serializing_if = "is_default")]
        pub variant: String,
        /// `GOOS`.
        pub os: String,
        /// Windows only.
        #[serde(skip_serializing_if = "is_default")]
        pub os_version: String,
        /// Bytes, unpacked.
        pub size: i64,
        /// Before API 1.44: `size` again.
        #[serde(skip_serializing_if = "is_default")]
        pub virtual_size: i64,
        /// Where its files are.
        pub graph_driver: GraphDriver,
        /// Its layers.
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        /// What only this engine knows.
        pub metadata: ImageMetadata,
        /// Defaults for containers made from it.
        pub config: ImageInspectConfig,
        /// With `manifests`: what of it there is for each platform.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub manifests: Option<Vec<serde_json::Value>>,
    }

    /// The layers of an image.
    pub struct RootFs {
        /// Always `layers`.
        #[serde(rename = "Type")]
        pub kind: String,
        /// diffIDs, bottom first.
        #[serde(skip_serializing_if = "is_default")]
        pub layers: Vec<String>,
    }

    /// What only this engine knows about an image.
    pub struct ImageMetadata {
        /// RFC 3339.
        pub last_tag_time: String,
    }

    /// An image's defaults for containers, as inspection shows them. The first
    /// group is shown before API 1.50 only: [`ImageInspectConfig::with_legacy`].
    pub struct ImageInspectConfig {
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stderr: Option<bool>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stdin: Option<bool>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stdout: Option<bool>,
        /// Windows only.
        #[serde(skip_serializing_if = "is_default")]
        pub args_escaped: bool,
        /// Arguments, or all of the command where there is no entrypoint.
        pub cmd: Option<Vec<String>>,
        /// Always empty.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub domainname: Option<String>,
        /// The program, with its first arguments.
        pub entrypoint: Option<Vec<String>>,
        /// `KEY=value`.
        pub env: Option<Vec<String>>,
        /// Keys such as `80/tcp`.
        #[serde(skip_serializing_if = "is_default")]
        pub exposed_ports: Option<BTreeMap<String, Empty>>,
        /// How to see whether a container is well.
        #[serde(skip_serializing_if = "is_default")]
        pub healthcheck: Option<HealthCheck>,
        /// Always empty.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub hostname: Option<String>,
        /// Always empty.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image: Option<String>,
        /// Free key-value pairs.
        pub labels: Option<BTreeMap<String, String>>,
        /// Triggers for builds on top of this image.
        pub on_build: Option<Vec<String>>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub open_stdin: Option<bool>,
        /// The shell of shell-form commands.
        #[serde(skip_serializing_if = "is_default")]
        pub shell: Option<Vec<String>>,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stdin_once: Option<bool>,
        /// Name or number.
        #[serde(skip_serializing_if = "is_default")]
        pub stop_signal: String,
        /// Always false.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tty: Option<bool>,
        /// `name|uid[:group|gid]`.
        pub user: String,
        /// Paths of anonymous volumes.
        pub volumes: Option<BTreeMap<String, Empty>>,
        /// Absolute path.
        pub working_dir: String,
    }

    /// What `prune` removed.
    pub struct ImagesPruned {
        /// `null` when there was nothing.
        pub images_deleted: Option<Vec<ImageDeleted>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }
}

impl ImageInspectConfig {
    /// The same with the fields that clients before API 1.50 expect.
    #[must_use]
    pub fn with_legacy(mut self) -> Self {
        self.attach_stderr = Some(false);
        self.attach_stdin = Some(false);
        self.attach_stdout = Some(false);
        self.domainname = Some(String::new());
        self.hostname = Some(String::new());
        self.image = Some(String::new());
        self.open_stdin = Some(false);
        self.stdin_once = Some(false);
        self.tty = Some(false);
        self
    }
}

/// One step of `docker history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HistoryItem {
    /// The message of the commit or import.
    pub comment: String,
    /// Seconds since the epoch.
    pub created: i64,
    /// The command that made the layer.
    pub created_by: String,
    /// Of the image at this step, or `<missing>`.
    pub id: String,
    /// Bytes, unpacked.
    pub size: i64,
    /// `name:tag` of the image at this step, `null` when there are none.
    #[serde(deserialize_with = "crate::body::null_is_default")]
    pub tags: Option<Vec<String>>,
}

/// One step of a removal: exactly one of the two is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageDeleted {
    /// A name that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untagged: Option<String>,
    /// An image or layer that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
}

impl ImageDeleted {
    /// A name that is gone.
    pub fn untagged(name: impl Into<String>) -> Self {
        Self {
            untagged: Some(name.into()),
            deleted: None,
        }
    }

    /// An image or layer that is gone.
    pub fn deleted(id: impl Into<String>) -> Self {
        Self {
            untagged: None,
            deleted: Some(id.into()),
        }
    }
}
