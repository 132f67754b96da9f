//! How registries are configured, as `info` shows it.

use gantry_api::{RegistryConfig, RegistryIndex};
use gantry_types::sort::IntoMap;

use super::Registries;

/// Docker's own registry.
const HUB: &str = "docker.io";
/// What is insecure without being configured.
const LOOPBACK: [&str; 2] = ["::1/128", "127.0.0.0/8"];

impl Registries {
    /// The proxies for `http`, for `https`, and who needs none; without passwords.
    pub(crate) fn proxies(&self) -> [String; 3] {
        self.client.config().proxies.shown()
    }

    /// What is configured now.
    pub(crate) fn shown(&self) -> RegistryConfig {
        let config = self.client.config();
        let (networks, hosts): (Vec<_>, Vec<_>) = config
            .insecure
            .iter()
            .cloned()
            .partition(|one| one.contains('/'));
        let hub = RegistryIndex {
            mirrors: config.mirrors.clone(),
            name: HUB.to_owned(),
            official: true,
            secure: true,
        };
        let insecure = hosts.into_iter().map(|name| RegistryIndex {
            name,
            ..RegistryIndex::default()
        });
        let indexes = insecure.chain([hub]);
        RegistryConfig {
            index_configs: indexes.map(|index| (index.name.clone(), index)).into_map(),
            insecure_registry_cidrs: LOOPBACK
                .map(str::to_owned)
                .into_iter()
                .chain(networks)
                .collect(),
            mirrors: (!config.mirrors.is_empty()).then(|| config.mirrors.clone()),
        }
    }
}
