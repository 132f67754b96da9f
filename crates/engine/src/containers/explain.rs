//! How packets come in by a port of the host: the network's rules, and whether
//! anybody listens where they lead.

use std::net::IpAddr;

use gantry_api::{PortExplained, PortWay};
use gantry_network::{Packet, Protocol};

use super::Containers;
use super::publish;
use crate::error::{Error, Result};

/// What a listening TCP socket is in the kernel's list.
const LISTENS: &str = "0A";

impl Containers {
    /// Explains a port such as `8080` or `53/udp`, for packets from an address or,
    /// where that is empty, from anywhere.
    ///
    /// # Errors
    /// `Invalid` for what is no port or no address.
    pub fn explain(&self, port: &str, from: &str) -> Result<PortExplained> {
        let (protocol, number) =
            publish::port(port).ok_or_else(|| Error::Invalid(format!("invalid port: {port:?}")))?;
        let from: Option<IpAddr> = match from {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| Error::Invalid(format!("invalid IP address: {text}")))?,
            ),
        };
        let packet = Packet {
            protocol,
            port: number,
            from,
        };
        let inner = &self.inner;
        let mut told = PortExplained {
            port: format!("{number}/{protocol}"),
            from: from.map_or_else(String::new, |from| from.to_string()),
            ..PortExplained::default()
        };
        for way in inner.network.ways_in(packet) {
            let mut steps = way.steps;
            let container = inner.table.get(&way.container);
            let pid = container.map(|container| container.state().pid);
            if let Some(listens) = pid.and_then(|pid| listens(pid, protocol, way.target.port())) {
                let port = way.target.port();
                steps.push(match listens {
                    true => format!("the container listens on {port}/{protocol}"),
                    false => format!("nothing in the container listens on {port}/{protocol}"),
                });
            }
            told.admitted |= way.admitted;
            told.ways.push(PortWay {
                host: way.host.to_string(),
                container: way.container.to_string(),
                name: way.name,
                network: way.network,
                target: way.target.to_string(),
                admitted: way.admitted,
                steps,
            });
        }
        if told.ways.is_empty() {
            told.notes
                .push("no container publishes this port".to_owned());
            told.notes.extend(self.unpublished(protocol, number));
        }
        told.notes.extend(inner.network.others_in_the_way());
        Ok(told)
    }

    /// Containers that have the port, and do not publish it.
    fn unpublished(&self, protocol: Protocol, number: u16) -> Vec<String> {
        let running = self.inner.table.all().into_iter();
        let running = running.filter(|container| container.state().running());
        let exposed = running.filter(|container| {
            publish::exposed_ports(&container.record().config).contains(&(number, protocol))
        });
        let told = exposed.map(|container| {
            format!(
                "container {} exposes {number}/{protocol} to its networks, and does not publish it",
                container.name()
            )
        });
        told.collect()
    }
}

/// Whether a socket of a process' network waits for clients at a port; `None` where
/// that cannot be known.
fn listens(pid: i32, protocol: Protocol, port: u16) -> Option<bool> {
    if protocol == Protocol::Sctp || pid <= 0 {
        return None;
    }
    let mut found = false;
    for family in ["", "6"] {
        let path = format!("/proc/{pid}/net/{protocol}{family}");
        if let Ok(text) = std::fs::read_to_string(path) {
            found |= text.lines().any(|line| is_at(line, protocol, port));
        }
    }
    Some(found)
}

/// Whether a line of the kernel's list of sockets is one that waits at a port.
fn is_at(line: &str, protocol: Protocol, port: u16) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let local = words.next().and_then(|local| local.rsplit_once(':'));
    let same = local.is_some_and(|(_, text)| u16::from_str_radix(text, 16) == Ok(port));
    let state = words.nth(1);
    same && (protocol == Protocol::Udp || state == Some(LISTENS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_wait_are_found() {
        let line = "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000";
        assert!(is_at(line, Protocol::Tcp, 80));
        assert!(!is_at(line, Protocol::Tcp, 81));
        let connected = line.replace(" 0A ", " 01 ");
        assert!(!is_at(&connected, Protocol::Tcp, 80));
        assert!(!is_at(
            "  sl  local_address rem_address   st",
            Protocol::Tcp,
            80
        ));
    }
}
