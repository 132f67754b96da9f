//! Published ports: what `-p`, `-P` and `--expose` mean for a container, and how
//! `inspect` and the list show what became of them.

use gantry_types::sort::IntoMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

use gantry_api::{Config, HostConfig, Port, PortBinding, PortMap};
use gantry_network::{Attachment, HostPorts, PortRequest, Protocol, Published, Sources};

use super::record::Record;
use super::state::State;
use crate::error::{Error, Result};

/// The annotation that says who may use the published ports.
const PUBLISH_FROM: &str = "gantry.publish-from";

/// A port of a container: `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    number: u16,
    protocol: Protocol,
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        Some(Self {
            number: number.parse().ok().filter(|_| digits)?,
            protocol: protocol.parse().ok()?,
        })
    }
}

/// Understands a port, such as `80` or `53/udp`.
pub(crate) fn port(text: &str) -> Option<(Protocol, u16)> {
    Target::parse(text).map(|target| (target.protocol, target.number))
}

/// Checks what a client asks for.
///
/// # Errors
/// `Invalid` in Docker's words.
pub(crate) fn check(host: &HostConfig) -> Result<()> {
    let wrong = |text: &str| Error::Invalid(format!("invalid port specification: {text:?}"));
    for (port, bindings) in host.port_bindings.iter().flatten() {
        if Target::parse(port).is_none() {
            return Err(wrong(port));
        }
        for binding in bindings.iter().flatten() {
            let numbers = binding.host_port.split('-');
            let number = |text: &str| text.is_empty() || Target::parse(text).is_some();
            if binding.host_port.matches('-').count() > 1 || !numbers.into_iter().all(number) {
                return Err(wrong(&binding.host_port));
            }
            if !binding.host_ip.is_empty() && binding.host_ip.parse::<IpAddr>().is_err() {
                let text = format!("invalid IP address: {}", binding.host_ip);
                return Err(Error::Invalid(text));
            }
        }
    }
    sources(host).map(drop).map_err(Error::Invalid)
}

/// Who may use the published ports, if the container says so: those in an
/// annotation, which only who creates it can give, and no image.
///
/// # Errors
/// What is wrong.
pub(crate) fn sources(host: &HostConfig) -> Result<Option<Sources>, String> {
    let annotation = host
        .annotations
        .as_ref()
        .and_then(|all| all.get(PUBLISH_FROM));
    annotation.map(|text| Sources::parse(text)).transpose()
}

/// What a client should know: in the host's network there is nothing to publish.
pub(crate) fn warning(host: &HostConfig) -> Option<String> {
    let ports = host
        .port_bindings
        .as_ref()
        .is_some_and(|ports| !ports.is_empty());
    (host.network_mode == "host" && ports)
        .then(|| "Published ports are discarded when using host network mode".to_owned())
}

/// What is to be published when a container starts.
///
/// # Errors
/// What is wrong, in Docker's words.
pub(crate) fn requests(record: &Record) -> Result<Vec<PortRequest>, String> {
    let bindings = record.host_config.port_bindings.iter().flatten();
    let mut requests = Vec::new();
    let mut bound = BTreeSet::new();
    for (port, bindings) in bindings {
        let Some(target) = Target::parse(port) else {
            return Err(format!("invalid port specification: {port:?}"));
        };
        bound.insert(target);
        // None at all is any port of the host, as in Docker.
        let anywhere = [PortBinding::default()];
        let bindings = bindings.as_deref().filter(|all| !all.is_empty());
        for binding in bindings.unwrap_or(&anywhere) {
            requests.push(request(target, binding)?);
        }
    }
    if record.host_config.publish_all_ports {
        let exposed = exposed(&record.config);
        let open = exposed.filter(|target| !bound.contains(target));
        let anywhere = open.map(|target| request(target, &PortBinding::default()));
        requests.extend(anywhere.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(requests)
}

fn request(target: Target, binding: &PortBinding) -> Result<PortRequest, String> {
    Ok(PortRequest {
        protocol: target.protocol,
        container_port: target.number,
        // Empty is for all; what is no address was refused before.
        host_ip: binding.host_ip.parse().ok(),
        host_ports: HostPorts::parse(&binding.host_port)?,
    })
}

fn exposed(config: &Config) -> impl Iterator<Item = Target> {
    let ports = config.exposed_ports.iter().flatten();
    ports.filter_map(|(port, _)| Target::parse(port))
}

/// The exposed ports of a container.
pub(crate) fn exposed_ports(config: &Config) -> Vec<(u16, Protocol)> {
    exposed(config).map(|t| (t.number, t.protocol)).collect()
}

/// The ports of a container that runs in a network which has ports.
fn shown<'a>(record: &'a Record, state: &'a State) -> Option<(&'a Record, &'a Attachment)> {
    let attachment = state.attachment.as_ref().filter(|_| state.running())?;
    attachment.gateway().map(|_| (record, attachment))
}

/// `NetworkSettings.Ports` of `inspect`.
pub(crate) fn map(record: &Record, state: &State) -> PortMap {
    let Some((record, attachment)) = shown(record, state) else {
        return PortMap::new();
    };
    let name = |number: u16, protocol: Protocol| format!("{number}/{protocol}");
    let exposed = exposed(&record.config).map(|t| (name(t.number, t.protocol), None));
    let mut map: PortMap = exposed.into_map();
    for port in &attachment.published {
        let bindings = map.entry(name(port.container_port, port.protocol));
        let bindings = bindings.or_default().get_or_insert_default();
        bindings.push(PortBinding {
            host_ip: port.host_ip.to_string(),
            // Of a routed network, none of the host leads there.
            host_port: match port.host_port {
                0 => String::new(),
                number => number.to_string(),
            },
        });
    }
    map
}

/// The ports that the list shows.
pub(crate) fn list(record: &Record, state: &State) -> Vec<Port> {
    let Some((record, attachment)) = shown(record, state) else {
        return Vec::new();
    };
    let published = &attachment.published;
    let closed = exposed(&record.config).filter(|target| {
        let same =
            |p: &Published| (p.container_port, p.protocol) == (target.number, target.protocol);
        !published.iter().any(same)
    });
    let mut ports: Vec<Port> = closed
        .map(|target| Port {
            private_port: target.number,
            kind: target.protocol.to_string(),
            ..Port::default()
        })
        .collect();
    ports.extend(published.iter().map(|port| Port {
        ip: port.host_ip.to_string(),
        private_port: port.container_port,
        public_port: port.host_port,
        kind: port.protocol.to_string(),
    }));
    ports.sort();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_a_number_and_a_protocol() {
        let target = |text| Target::parse(text).map(|t| (t.number, t.protocol.name()));
        assert_eq!(target("80"), Some((80, "tcp")));
        assert_eq!(target("53/udp"), Some((53, "udp")));
        for wrong in ["", "x", "80/foo", "+80", "70000", "80-90", "/tcp"] {
            assert_eq!(target(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn wrong_bindings_are_refused() {
        let checked = |json: &str| check(&serde_json::from_str(json).unwrap());
        checked(r#"{"PortBindings":{"80/tcp":[{"HostPort":"80-90"},{"HostIp":"::1"}]}}"#).unwrap();
        checked(r#"{"PortBindings":{"80/tcp":null}}"#).unwrap();
        for wrong in [
            r#"{"PortBindings":{"x/tcp":[]}}"#,
            r#"{"PortBindings":{"80":[{"HostPort":"70000"}]}}"#,
            r#"{"PortBindings":{"80":[{"HostPort":"1-2-3"}]}}"#,
            r#"{"PortBindings":{"80":[{"HostIp":"localhost"}]}}"#,
            r#"{"Annotations":{"gantry.publish-from":"lan"}}"#,
        ] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
