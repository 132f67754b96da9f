//! `POST /containers/create` and `POST /containers/prune`.

use serde::{Deserialize, Serialize};

use super::{Config, HostConfig};
use crate::NetworkingConfig;
use crate::body::null_is_default;

/// The request: the configuration's fields at the top, the rest beside them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerCreate {
    /// What it runs.
    #[serde(flatten)]
    pub config: Config,
    /// How it runs on this host.
    #[serde(rename = "HostConfig", default, deserialize_with = "null_is_default")]
    pub host_config: HostConfig,
    /// The networks it joins.
    #[serde(
        rename = "NetworkingConfig",
        default,
        deserialize_with = "null_is_default"
    )]
    pub networking_config: NetworkingConfig,
}

body! {
    /// The answer.
    pub struct ContainerCreated {
        /// The new container's id.
        pub id: String,
        /// What was changed or ignored.
        pub warnings: Vec<String>,
    }

    /// What `prune` removed.
    pub struct ContainersPruned {
        /// Ids, `null` when there were none.
        pub containers_deleted: Option<Vec<String>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }
}
