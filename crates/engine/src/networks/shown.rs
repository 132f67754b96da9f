//! How networks are shown.

use gantry_api::{
    ConfigReference, EndpointResource, Ipam, IpamConfig, NetworkInspect, rfc3339_nano,
};
use gantry_network::{Definition, Endpoint, NetworkMode, SubnetConfig};

/// Whether this is one of the networks that always exist.
pub(super) fn is_predefined(definition: &Definition) -> bool {
    NetworkMode::parse(&definition.name) != NetworkMode::User
}

pub(super) fn network(definition: &Definition) -> NetworkInspect {
    let subnets: Vec<IpamConfig> = definition.subnets.iter().map(subnet).collect();
    let plain = subnets.is_empty() && matches!(definition.driver.as_str(), "host" | "null");
    NetworkInspect {
        name: definition.name.clone(),
        id: definition.id.clone(),
        created: rfc3339_nano(definition.created),
        scope: "local".to_owned(),
        driver: definition.driver.clone(),
        enable_ipv4: definition.ipv4,
        enable_ipv6: definition.ipv6,
        ipam: Ipam {
            driver: definition.ipam_driver.clone(),
            options: definition.ipam_options.clone(),
            config: (!plain).then_some(subnets),
        },
        internal: definition.internal,
        attachable: definition.attachable,
        config_from: ConfigReference {
            network: definition.config_from.clone(),
        },
        config_only: definition.config_only,
        options: definition.options.clone(),
        labels: definition.labels.clone(),
        ..NetworkInspect::default()
    }
}

fn subnet(config: &SubnetConfig) -> IpamConfig {
    let auxiliary = &config.auxiliary;
    IpamConfig {
        subnet: config.subnet.clone(),
        ip_range: config.ip_range.clone(),
        gateway: config.gateway.clone(),
        auxiliary_addresses: (!auxiliary.is_empty()).then(|| auxiliary.clone()),
    }
}

pub(super) fn endpoint(name: String, endpoint: &Endpoint) -> EndpointResource {
    let address = |place: Option<gantry_network::Place>| {
        place.map_or_else(String::new, |place| place.address.to_string())
    };
    let mac = endpoint.interface.as_ref();
    EndpointResource {
        name,
        endpoint_id: endpoint.endpoint_id.clone(),
        mac_address: mac.map_or_else(String::new, |i| i.mac.to_string()),
        ipv4_address: address(endpoint.ipv4),
        ipv6_address: address(endpoint.ipv6),
    }
}
