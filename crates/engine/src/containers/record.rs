//! The durable half of a container that hardly ever changes: what it was created
//! with, every default filled in. Only an update replaces it, as a whole.

use std::path::{Path, PathBuf};

use gantry_api::{Config, EndpointSettings, HostConfig, MountPoint};
use gantry_types::ContainerId;
use serde::{Deserialize, Serialize};

use super::Settings;

/// What a container was created with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ContainerId,
    /// Without a slash. The name that it was created with, or had when the engine
    /// opened; `Container::name` knows the one that it has.
    pub(crate) name: String,
    /// Nanoseconds since the epoch.
    pub(crate) created: i64,
    /// `sha256:…`; empty when it was made without an image.
    pub(crate) image_id: String,
    /// The operating system of the image.
    pub(crate) os: String,
    /// The storage driver that holds its file system.
    pub(crate) driver: String,
    /// The program and its arguments.
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    /// The client's wishes over the image's.
    pub(crate) config: Config,
    pub(crate) host_config: HostConfig,
    /// The network of the container, and what the client wished of it.
    pub(crate) network: String,
    pub(crate) endpoint: EndpointSettings,
    /// Bind mounts.
    pub(crate) mounts: Vec<MountPoint>,
}

impl Record {
    /// The container's directory below a data root.
    pub(crate) fn dir(&self, data_root: &Path) -> PathBuf {
        data_root.join("containers").join(self.id.as_str())
    }

    /// The cgroup above the container's own.
    pub(crate) fn cgroup_parent(&self, settings: &Settings) -> String {
        match self.host_config.cgroup_parent.as_str() {
            "" => settings.cgroup_parent.clone(),
            given => super::binds::clean(given),
        }
    }
}
