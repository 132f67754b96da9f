//! How a container's network is shown: the `NetworkSettings` of `inspect` and
//! the short form of the list.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_api::{EndpointSettings, NetworkSettings};
use gantry_network::Endpoint;

use super::endpoints;
use super::publish;
use super::record::Record;
use super::state::State;

/// The networks of a container by name.
pub(crate) fn by_name(record: &Record, state: &State) -> BTreeMap<String, EndpointSettings> {
    let mut networks = endpoints::wishes(record, state);
    for (name, shown) in &mut networks {
        let attachment = state.attachment.as_ref();
        let mut places = attachment.into_iter().flat_map(|a| &a.endpoints);
        let Some(place) = places.find(|p| p.network == *name || p.network_id == *name) else {
            continue;
        };
        shown.network_id.clone_from(&place.network_id);
        if state.running() {
            fill(shown, place);
        }
    }
    networks
}

fn fill(shown: &mut EndpointSettings, place: &Endpoint) {
    shown.endpoint_id.clone_from(&place.endpoint_id);
    if let Some(four) = place.ipv4 {
        shown.ip_address = four.address.address().to_string();
        shown.ip_prefix_len = i64::from(four.address.prefix());
        shown.gateway = text(four.gateway);
    }
    if let Some(six) = place.ipv6 {
        shown.global_ipv6_address = six.address.address().to_string();
        shown.global_ipv6_prefix_len = i64::from(six.address.prefix());
        shown.ipv6_gateway = text(six.gateway);
    }
    if let Some(interface) = &place.interface {
        shown.mac_address = interface.mac.to_string();
    }
    shown.dns_names = Some(place.dns_names.clone()).filter(|names| !names.is_empty());
}

fn text(gateway: Option<IpAddr>) -> String {
    // Onto the link is to nobody.
    let gateway = gateway.filter(|address| !address.is_unspecified());
    gateway.map_or_else(String::new, |address| address.to_string())
}

/// Everything about the networks of a container.
pub(crate) fn settings(record: &Record, state: &State, bridge: &str) -> NetworkSettings {
    let networks = by_name(record, state);
    let mut shown = NetworkSettings::default();
    let attachment = state.attachment.as_ref().filter(|_| state.running());
    if let Some(attachment) = attachment {
        shown.sandbox_id.clone_from(&attachment.sandbox_id);
        shown.sandbox_key = format!("/proc/{}/ns/net", state.pid);
        shown.ports = publish::map(record, state);
    }
    // Also when it is over.
    let ever = state.attachment.as_ref();
    if ever.is_some_and(|attachment| attachment.endpoints.iter().any(|e| e.network == "bridge")) {
        bridge.clone_into(&mut shown.bridge);
    }
    if let Some(endpoint) = networks.get("bridge") {
        shown.endpoint_id.clone_from(&endpoint.endpoint_id);
        shown.gateway.clone_from(&endpoint.gateway);
        shown.ip_address.clone_from(&endpoint.ip_address);
        shown.ip_prefix_len = endpoint.ip_prefix_len;
        shown.mac_address.clone_from(&endpoint.mac_address);
    }
    shown.networks = networks;
    shown
}
