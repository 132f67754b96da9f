//! The three networks that always exist, as users see them.

use std::collections::BTreeMap;

use crate::bridge::Bridge;
use crate::config::NetworkConfig;
use crate::default_bridge;
use crate::definition::{self, Definition, SubnetConfig};
use crate::mode::NetworkMode;
use crate::records::{self, Known};

/// The names that nobody else's network can have.
pub(crate) const NAMES: [&str; 4] = ["bridge", "host", "none", "default"];

/// The network `bridge`.
pub(crate) fn bridge(config: &NetworkConfig, known: &Known, bridge: &Bridge) -> Definition {
    let binding = config.host_binding;
    let options = [
        (
            "com.docker.network.bridge.default_bridge",
            "true".to_owned(),
        ),
        (definition::ICC, config.icc.to_string()),
        (definition::MASQUERADE, config.ip_masq.to_string()),
        (
            definition::HOST_BINDING,
            binding.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
        ),
        (definition::BRIDGE_NAME, bridge.name.clone()),
        (definition::MTU, config.mtu.to_string()),
    ];
    let shown = |address: &crate::IpCidr| {
        let ipv4 = address.is_ipv4();
        let range = if ipv4 {
            config.fixed_cidr
        } else {
            config.fixed_cidr_v6
        };
        let other = default_bridge::other_gateway(config, ipv4);
        SubnetConfig {
            subnet: address.network().to_string(),
            gateway: address.address().to_string(),
            ip_range: range.map_or_else(String::new, |range| range.to_string()),
            auxiliary: other
                .map(|(key, gateway)| (key.to_owned(), gateway.to_string()))
                .into_iter()
                .collect(),
            chosen: true,
        }
    };
    Definition {
        subnets: bridge.addresses.iter().map(shown).collect(),
        ipv6: config.ipv6,
        gateways: bridge.addresses.clone(),
        options: options.map(|(k, v)| (k.to_owned(), v)).into(),
        ..plain(NetworkMode::Bridge, known)
    }
}

/// A network without a bridge.
pub(crate) fn plain(mode: NetworkMode, known: &Known) -> Definition {
    Definition {
        id: known.id.clone(),
        name: mode.name().to_owned(),
        driver: records::driver(mode).to_owned(),
        created: known.created,
        ipv4: true,
        ipam_driver: "default".to_owned(),
        options: BTreeMap::new(),
        ..Definition::default()
    }
}
