//! Networks that reach over several hosts: a bridge on each, joined by VXLAN.
//!
//! ```text
//! container ─ veth ─ bridge ─ VXLAN port ──UDP──▶ VXLAN port ─ bridge ─ veth ─ container
//! ```
//!
//! There is no control plane: each host is told who the others are, and which part of
//! the subnet it hands out (`--ip-range`). Who is where, the VXLAN port learns from the
//! packets that come; what is for everybody goes to all peers.

use std::net::IpAddr;
use std::sync::Arc;

use super::{BridgeDriver, NetworkDriver, Plug};
use crate::attachment::Interface;
use crate::bridge::Bridge;
use crate::definition::Definition;
use crate::error::Error;
use crate::netlink::links::{self, Vxlan};
use crate::netlink::{Socket, route};
use crate::seen::Seen;

/// The other hosts; the list may have this one too, so that it is the same on all.
const PEERS: &str = "gantry.peers";
/// The network's number, the same on all hosts.
const ID: &str = "gantry.vni";
/// The UDP port, the same on all hosts.
const PORT: &str = "gantry.port";
/// This host's address, where the kernel's choice is not right.
const LOCAL: &str = "gantry.local";
/// IANA's.
const DEFAULT_PORT: u16 = 4789;
/// What VXLAN over IPv4 leaves of an Ethernet link's MTU.
const DEFAULT_MTU: u32 = 1450;
/// What is for everybody is sent to each of them.
const MOST_PEERS: usize = 64;
/// A number has 24 bits.
const LARGEST_ID: u32 = 0xff_ffff;

/// The bridge of this host, and the way to the others.
#[derive(Debug)]
pub(super) struct Overlay {
    ports: BridgeDriver,
    tunnel: Tunnel,
}

/// The VXLAN port.
#[derive(Debug)]
struct Tunnel {
    name: String,
    wanted: Wanted,
    mtu: u32,
}

/// What the options say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    peers: Vec<IpAddr>,
    id: u32,
    port: u16,
    local: Option<IpAddr>,
}

fn invalid<T>(text: String) -> Result<T, Error> {
    Err(Error::Invalid(text))
}

fn wanted(definition: &Definition) -> Result<Wanted, Error> {
    let option = |key: &str| definition.options.get(key).map_or("", String::as_str);
    let address = |key: &str, text: &str| match text.trim().parse::<IpAddr>() {
        Ok(ip) if !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() => Ok(ip),
        _ => invalid(format!(
            "invalid option {key}: {text:?} is not the address of a host"
        )),
    };
    let number = |key: &str, largest: u32, default: u32| match option(key) {
        "" => Ok(default),
        text => match text.parse() {
            Ok(number) if (1..=largest).contains(&number) => Ok(number),
            _ => invalid(format!(
                "invalid option {key}: {text:?} is not 1 to {largest}"
            )),
        },
    };
    let peers = option(PEERS)
        .split(',')
        .filter(|text| !text.trim().is_empty());
    let peers = peers
        .map(|text| address(PEERS, text))
        .collect::<Result<Vec<_>, _>>()?;
    let local = Some(option(LOCAL)).filter(|text| !text.is_empty());
    let local = local.map(|text| address(LOCAL, text)).transpose()?;
    let mut all = peers.iter().chain(&local);
    let first = all.next();
    if all.any(|other| first.is_some_and(|first| first.is_ipv4() != other.is_ipv4())) {
        return invalid("the peers of an overlay network must be of one address family".to_owned());
    }
    let id = number(ID, LARGEST_ID, id_of(definition))?;
    if peers.len() > MOST_PEERS {
        return invalid(format!(
            "more than {MOST_PEERS} peers of an overlay network"
        ));
    }
    let port = number(PORT, u16::MAX.into(), DEFAULT_PORT.into())?;
    Ok(Wanted {
        peers,
        id,
        port: u16::try_from(port).unwrap_or(DEFAULT_PORT),
        local,
    })
}

/// A number that is the same wherever the network's subnet is (FNV-1a).
fn id_of(definition: &Definition) -> u32 {
    let mut subnets: Vec<&str> = definition
        .subnets
        .iter()
        .map(|c| c.subnet.as_str())
        .collect();
    subnets.sort_unstable();
    let hash = subnets
        .concat()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    (hash & LARGEST_ID).max(1)
}

/// Whether a network is a swarm's: one that names no peers.
pub(crate) fn is_of_swarm(definition: &Definition) -> bool {
    definition.driver == "overlay" && !definition.options.contains_key(PEERS)
}

/// The hosts must agree on the subnet and share it out.
pub(super) fn check(
    socket: &mut Socket,
    definition: &mut Definition,
    all: &[Arc<Definition>],
) -> Result<(), Error> {
    let known = |key: &&String| {
        let ours = key.starts_with("gantry.");
        let theirs = key.starts_with("com.docker.network.driver.overlay.");
        (ours && ![PEERS, ID, PORT, LOCAL].contains(&key.as_str())) || theirs || *key == "encrypted"
    };
    if let Some(key) = definition.options.keys().find(known) {
        return Err(Error::NotYet(format!("option {key} of an overlay network")));
    }
    let wanted = wanted(definition)?;
    for config in &definition.subnets {
        if config.chosen || config.ip_range.is_empty() {
            return invalid(
                "an overlay network needs --subnet, the same on all hosts, and --ip-range, another \
                 part of it on each"
                    .to_owned(),
            );
        }
    }
    for other in all.iter().filter(|other| other.driver == "overlay") {
        let theirs = self::wanted(other)?;
        if (theirs.id, theirs.port) == (wanted.id, wanted.port) {
            return Err(Error::Forbidden(format!(
                "{ID} {} is already used by network {}",
                wanted.id, other.name
            )));
        }
    }
    super::bridge::check(socket, definition, all)
}

impl Overlay {
    pub(super) fn open(
        socket: &mut Socket,
        seen: &Seen,
        definition: &Definition,
    ) -> Result<Self, Error> {
        let mtu = definition.mtu(DEFAULT_MTU)?;
        let overlay = Self {
            ports: BridgeDriver::open(socket, seen, definition, mtu)?,
            tunnel: Tunnel {
                name: format!("vx-{}", definition.id.get(..12).unwrap_or_default()),
                wanted: wanted(definition)?,
                mtu,
            },
        };
        if let Err(error) = overlay.restore(socket) {
            let _ = overlay.delete(socket);
            return Err(error);
        }
        Ok(overlay)
    }
}

impl Tunnel {
    /// Makes it a port of the bridge, and itself first where it is missing.
    fn open(&self, socket: &mut Socket, bridge: &Bridge) -> Result<(), Error> {
        let name = &self.name;
        if let Some(link) = route::link_by_name(socket, name)? {
            if link.controller == bridge.index() {
                return Ok(());
            }
            return socket.apply(vec![route::set_bridge(link.index, bridge.index(), name)]);
        }
        let vxlan = Vxlan {
            name,
            bridge: bridge.index(),
            id: self.wanted.id,
            port: self.wanted.port,
            local: self.wanted.local,
            ipv6: self.wanted.peers.iter().any(IpAddr::is_ipv6),
            mtu: self.mtu,
        };
        socket
            .apply(vec![links::add_vxlan(&vxlan)])
            .map_err(|error| Error::refused("failed to create the vxlan port", error))?;
        let Some(link) = route::link_by_name(socket, name)? else {
            return Ok(());
        };
        let own: Vec<IpAddr> = route::addresses(socket)?
            .into_iter()
            .map(|(_, address)| address.address())
            .collect();
        for peer in self.wanted.peers.iter().filter(|peer| !own.contains(peer)) {
            socket.apply(vec![links::add_peer(link.index, *peer, name)])?;
        }
        Ok(())
    }
}

impl NetworkDriver for Overlay {
    fn plug(&self, socket: &mut Socket, plug: &Plug<'_>) -> Result<Interface, Error> {
        let interface = self.ports.plug(socket, plug)?;
        // Somebody may have taken it away; the bridge was looked after just now.
        self.restore(socket)?;
        Ok(interface)
    }

    fn is_plugged(&self, socket: &mut Socket, interface: &Interface) -> bool {
        self.ports.is_plugged(socket, interface)
    }

    fn reconnect(&self, socket: &mut Socket, interface: &Interface) -> Result<(), Error> {
        self.ports.reconnect(socket, interface)
    }

    fn carries(&self, socket: &mut Socket, interface: &Interface) -> Result<bool, Error> {
        self.ports.carries(socket, interface)
    }

    fn bridge(&self) -> Option<&Bridge> {
        self.ports.bridge()
    }

    fn links(&self) -> Vec<String> {
        let bridge = self.bridge().map(|bridge| bridge.name.clone());
        bridge
            .into_iter()
            .chain([self.tunnel.name.clone()])
            .collect()
    }

    fn restore(&self, socket: &mut Socket) -> Result<(), Error> {
        match self.bridge() {
            Some(bridge) => self.tunnel.open(socket, bridge),
            None => Ok(()),
        }
    }

    fn peers(&self) -> Option<(u16, &[IpAddr])> {
        Some((self.tunnel.wanted.port, &self.tunnel.wanted.peers))
    }

    fn delete(&self, socket: &mut Socket) -> Result<(), Error> {
        let name = &self.tunnel.name;
        if let Some(link) = route::link_by_name(socket, name)? {
            socket.apply(vec![route::delete_link(link.index, name)])?;
        }
        self.ports.delete(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted_of(options: &[(&str, &str)]) -> Result<Wanted, String> {
        let options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        wanted(&Definition {
            options: options.collect(),
            ..Definition::default()
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn peers_are_hosts() {
        let wanted = wanted_of(&[(PEERS, "192.0.2.1, 192.0.2.2"), (ID, "7")]).unwrap();
        assert_eq!((wanted.peers.len(), wanted.id, wanted.port), (2, 7, 4789));
        for wrong in [
            [(PEERS, "0.0.0.0"), (ID, "1")],
            [(PEERS, "host"), (ID, "1")],
            [(PEERS, "224.0.0.1"), (ID, "1")],
            [(PEERS, "192.0.2.1,2001:db8::1"), (ID, "1")],
            [(PEERS, "192.0.2.1"), (ID, "16777216")],
            [(PEERS, "192.0.2.1"), (PORT, "0")],
            [(PEERS, "192.0.2.1"), (LOCAL, "2001:db8::1")],
        ] {
            assert!(wanted_of(&wrong).is_err(), "{wrong:?}");
        }
    }
}
