//! `GET /containers/json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MountPoint;
use crate::EndpointSettings;
use crate::body::is_default;

body! {
    /// One line of `docker ps`.
    pub struct ContainerSummary {
        /// All 64 digits.
        pub id: String,
        /// With leading slashes.
        pub names: Vec<String>,
        /// As the user named it, or its id when that name is another image now.
        pub image: String,
        /// Its id.
        #[serde(rename = "ImageID")]
        pub image_id: String,
        /// Path and arguments, joined by spaces.
        pub command: String,
        /// Seconds since the epoch.
        pub created: i64,
        /// Exposed and published ones.
        pub ports: Vec<Port>,
        /// Bytes written; only when asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub size_rw: i64,
        /// Bytes of all its files; only when asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub size_root_fs: i64,
        /// Free key-value pairs.
        pub labels: Option<BTreeMap<String, String>>,
        /// As in [`crate::ContainerState::status`].
        pub state: String,
        /// For people: `Up 5 minutes`.
        pub status: String,
        /// A little of the `HostConfig`.
        pub host_config: SummaryHostConfig,
        /// Its networks.
        pub network_settings: SummaryNetworkSettings,
        /// What is mounted.
        pub mounts: Vec<MountPoint>,
    }

    /// What the list shows of the `HostConfig`.
    pub struct SummaryHostConfig {
        /// As in [`crate::HostConfig::network_mode`].
        #[serde(skip_serializing_if = "is_default")]
        pub network_mode: String,
        /// Free key-value pairs for the runtime.
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: Option<BTreeMap<String, String>>,
    }

    /// What the list shows of the networks.
    pub struct SummaryNetworkSettings {
        /// By name.
        pub networks: BTreeMap<String, EndpointSettings>,
    }
}

/// An exposed or published port.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Port {
    /// On the host.
    #[serde(rename = "IP", skip_serializing_if = "is_default")]
    pub ip: String,
    /// In the container.
    pub private_port: u16,
    /// On the host.
    #[serde(skip_serializing_if = "is_default")]
    pub public_port: u16,
    /// `tcp`, `udp` or `sctp`.
    #[serde(rename = "Type")]
    pub kind: String,
}
