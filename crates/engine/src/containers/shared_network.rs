//! What cannot be had together with another container's network, or the host's.

use gantry_api::{Config, HostConfig};

use super::joined;
use crate::error::{Error, Result};

const LINKS_OF_CONTAINER: &str = "container type network can't be used with links. This would \
                                  result in undefined behavior";

/// Checks that nothing is asked for which belongs to whoever has the network.
///
/// # Errors
/// `Invalid` in Docker's words.
pub(crate) fn check(config: &Config, host: &HostConfig) -> Result<()> {
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let links = some(&host.links);
    if host.network_mode == "host" && links {
        return invalid(
            "conflicting options: host type networking can't be used with links. This would \
             result in undefined behavior",
        );
    }
    let Some(name) = joined::named(&host.network_mode) else {
        return Ok(());
    };
    if name.is_empty() {
        return invalid("invalid network mode: invalid container format container:<name|id>");
    }
    let ports = host
        .port_bindings
        .as_ref()
        .is_some_and(|ports| !ports.is_empty());
    let exposed = config
        .exposed_ports
        .as_ref()
        .is_some_and(|ports| !ports.is_empty());
    for (given, text) in [
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (links, LINKS_OF_CONTAINER),
        (some(&host.dns), "dns and the network mode"),
        (
            some(&host.extra_hosts),
            "custom host-to-IP mapping and the network mode",
        ),
        (
            ports || host.publish_all_ports,
            "port publishing and the container type network mode",
        ),
        (exposed, "port exposing and the container type network mode"),
    ] {
        if given {
            return invalid(format!("conflicting options: {text}"));
        }
    }
    Ok(())
}

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(text.into()))
}
