//! `POST /containers/create` and `POST /containers/prune`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Config, HostConfig};
use crate::NetworkingConfig;
use crate::body::null_is_default;
use crate::decode::Json;

/// The request: the configuration's fields at the top, the rest beside them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ContainerCreate {
    /// What it runs.
    #[serde(flatten)]
    pub config: Config,
    /// How it runs on this host.
    #[serde(rename = "HostConfig")]
    pub host_config: HostConfig,
    /// The networks it joins.
    #[serde(rename = "NetworkingConfig")]
    pub networking_config: NetworkingConfig,
}

/// Both halves are read from one object, each by its own fields: so that their
/// names may be in any case.
impl<'de> Deserialize<'de> for ContainerCreate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let surroundings = Surroundings::deserialize(Json(&value)).map_err(D::Error::custom)?;
        Ok(Self {
            config: Config::deserialize(Json(&value)).map_err(D::Error::custom)?,
            host_config: surroundings.host_config,
            networking_config: surroundings.networking_config,
        })
    }
}

/// What stands beside the configuration.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Surroundings {
    #[serde(default, deserialize_with = "null_is_default")]
    host_config: HostConfig,
    #[serde(default, deserialize_with = "null_is_default")]
    networking_config: NetworkingConfig,
}

body! {
    /// The answer.
    pub struct ContainerCreated {
        /// The new container's id.
        pub id: String,
        /// What was changed or ignored.
        pub warnings: Vec<String>,
    }

    /// The answer to an update.
    pub struct ContainerUpdated {
        /// What was left out.
        pub warnings: Option<Vec<String>>,
    }

    /// What `prune` removed.
    pub struct ContainersPruned {
        /// Ids, `null` when there were none.
        pub containers_deleted: Option<Vec<String>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }
}
