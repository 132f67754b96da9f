//! How a container's network is shown: the `NetworkSettings` of `inspect` and
//! the short form of the list.

use std::collections::BTreeMap;

use gantry_api::{EndpointSettings, NetworkSettings};
use gantry_network::Attachment;

use super::publish;
use super::record::Record;
use super::state::State;

/// The networks of a container by name: there is one.
pub(crate) fn by_name(record: &Record, state: &State) -> BTreeMap<String, EndpointSettings> {
    let endpoint = state
        .attachment
        .as_ref()
        .filter(|_| state.running())
        .map_or_else(
            || EndpointSettings {
                network_id: state
                    .attachment
                    .as_ref()
                    .map(|attachment| attachment.network_id.clone())
                    .unwrap_or_default(),
                ..record.endpoint.clone()
            },
            |attachment| endpoint(record, attachment),
        );
    BTreeMap::from([(record.network.clone(), endpoint)])
}

fn endpoint(record: &Record, attachment: &Attachment) -> EndpointSettings {
    let mut shown = EndpointSettings {
        network_id: attachment.network_id.clone(),
        endpoint_id: attachment.endpoint_id.clone(),
        ..record.endpoint.clone()
    };
    if let Some(interface) = &attachment.endpoint {
        shown.gateway = interface.gateway.to_string();
        shown.ip_address = interface.address.to_string();
        shown.ip_prefix_len = i64::from(interface.prefix);
        shown.mac_address = interface.mac.to_string();
    }
    shown
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
    if ever.is_some_and(|attachment| attachment.endpoint.is_some()) {
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
