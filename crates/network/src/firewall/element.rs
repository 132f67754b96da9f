//! The elements of our sets and maps: what a network and what a published port
//! add to them.

use std::net::{IpAddr, SocketAddr};

use super::Ip;
use super::expression::{Verdict, padded};
use crate::definition::GatewayMode;
use crate::ip_cidr::{IpCidr, highest, octets, unspecified};
use crate::ports::{Protocol, Sources};

/// The bridges of our networks.
pub(super) const BRIDGES: &str = "bridges";
/// Those of internal networks.
pub(super) const INTERNAL: &str = "internal";
/// What happens between two interfaces of one network.
pub(super) const BETWEEN: &str = "between";
/// The subnets of our networks.
pub(super) const SUBNETS: &str = "subnets";
/// Those whose packets get the host's address on their way out.
pub(super) const MASQUERADED: &str = "masqueraded";
/// Ports of all addresses of the host.
pub(super) const PUBLISHED: &str = "published";
/// Ports of single addresses of the host.
pub(super) const PUBLISHED_AT: &str = "published-at";
/// Published ports that not everybody may use.
pub(super) const GUARDED: &str = "guarded";
/// Who may use these.
pub(super) const ADMITTED: &str = "admitted";

/// Bridges whose containers can be reached at any port, wherever there is a route.
pub(super) const UNPROTECTED: &str = "unprotected";
/// Bridges whose containers can be reached at their own addresses.
pub(super) const ROUTED: &str = "routed";
/// Bridges whose published ports can be reached so.
pub(super) const DIRECT: &str = "direct";
/// The same of packets that come by certain interfaces: these, and the bridge.
pub(super) const TRUSTED: &str = "trusted";
/// Subnets whose packets get a certain address of the host, and that.
pub(super) const TRANSLATED: &str = "translated";
/// Bridges whose containers do not reach each other, as both interfaces.
pub(super) const SILENT: &str = "silent";
/// Ports of containers that are open to others there, and to which.
pub(super) const LINKED: &str = "linked";
/// Ports of containers that can be reached so, and by whom.
pub(super) const OPEN: &str = "open";

/// A network, as the firewall sees it: one subnet of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The bridge's name.
    pub(crate) bridge: String,
    /// The subnet of one family.
    pub(crate) subnet: IpCidr,
    /// Whether what leaves the subnet gets the host's address.
    pub(crate) masquerade: bool,
    /// Whether containers may talk to each other.
    pub(crate) icc: bool,
    /// Whether nothing goes in or out.
    pub(crate) internal: bool,
    /// How packets get in and out otherwise.
    pub(crate) mode: GatewayMode,
    /// The address that packets get which leave it; else that of the interface.
    pub(crate) host_address: Option<IpAddr>,
    /// The host's interfaces by which published ports are reached at the containers'
    /// own addresses.
    pub(crate) trusted: Vec<String>,
}

/// A port of the host that leads to a port of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    /// Of the host; the address may be unspecified. Without a port, it is the container's
    /// own that is opened; with an address then, to that one of another container alone.
    pub(crate) from: SocketAddr,
    /// Of the container, of the same family. Without a port, it leads nowhere else: the
    /// host's own port is for these sources.
    pub(crate) to: SocketAddr,
    /// Who may use it; empty for everybody.
    pub(crate) sources: Sources,
    /// Whether the container's own port is opened as well, for those who reach its
    /// bridge.
    pub(crate) direct: bool,
}

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) set: &'static str,
    pub(super) key: Vec<u8>,
    pub(super) value: Value,
}

/// What an element says beyond its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Nothing,
    /// The key is the first one behind an interval.
    IntervalEnd,
    /// Each part of the key is the first one of a range, and these are the last ones.
    RangeEnd(Vec<u8>),
    Verdict(Verdict),
    Bytes(Vec<u8>),
}

impl Member {
    pub(super) fn ip(&self) -> Ip {
        Ip::of(self.subnet.address())
    }

    pub(super) fn elements(&self) -> Vec<Element> {
        let name = padded(&self.bridge);
        let within = if self.icc {
            Verdict::Accept
        } else {
            Verdict::Drop
        };
        let mut elements = vec![
            element(BRIDGES, name.to_vec(), Value::Nothing),
            element(BETWEEN, [name, name].concat(), Value::Verdict(within)),
        ];
        if !self.icc {
            elements.push(element(SILENT, [name, name].concat(), Value::Nothing));
        }
        interval(&mut elements, SUBNETS, &self.subnet, Value::Nothing);
        if self.internal {
            elements.push(element(INTERNAL, name.to_vec(), Value::Nothing));
            return elements;
        }
        match self.mode {
            GatewayMode::Routed => {
                let routed = [ROUTED, DIRECT];
                elements.extend(routed.map(|set| element(set, name.to_vec(), Value::Nothing)));
            }
            _ if self.masquerade => self.leave(&mut elements),
            _ => {}
        }
        for interface in &self.trusted {
            let pair = [padded(interface), name].concat();
            elements.push(element(TRUSTED, pair, Value::Nothing));
        }
        if self.mode == GatewayMode::NatUnprotected {
            elements.push(element(UNPROTECTED, name.to_vec(), Value::Nothing));
        }
        elements
    }

    /// The address of what leaves it.
    fn leave(&self, elements: &mut Vec<Element>) {
        let (set, value) = match self.host_address {
            Some(address) => (TRANSLATED, Value::Bytes(octets(address))),
            None => (MASQUERADED, Value::Nothing),
        };
        interval(elements, set, &self.subnet, value);
    }
}

impl Forward {
    pub(super) fn ip(&self) -> Ip {
        Ip::of(self.to.ip())
    }

    /// Where it leads, and who may use it.
    pub(super) fn elements(&self) -> Vec<Element> {
        if self.from.port() == 0 {
            return match self.from.ip() {
                ip if ip.is_unspecified() => self.open(),
                ip => vec![self.open_to(LINKED, ip, ip)],
            };
        }
        let mut elements = match self.direct {
            true => self.open(),
            false => Vec::new(),
        };
        if self.to.port() != 0 {
            elements.push(self.element());
        }
        if self.sources.is_everybody() {
            return elements;
        }
        let socket = |address: IpAddr| {
            let mut key = octets(address);
            key.extend([self.protocol.number(), 0, 0, 0]);
            key.extend(port(self.from.port()));
            key
        };
        let (first, last) = match self.from.ip() {
            ip if ip.is_unspecified() => (ip, highest(ip)),
            ip => (ip, ip),
        };
        let (first, last) = (socket(first), socket(last));
        for subnet in self.sources.of_family(self.from.is_ipv4()) {
            let from = [&first[..], &octets(subnet.at(subnet.first()))].concat();
            let to = [&last[..], &octets(subnet.at(subnet.last()))].concat();
            elements.push(element(ADMITTED, from, Value::RangeEnd(to)));
        }
        elements.push(element(GUARDED, first, Value::RangeEnd(last)));
        elements
    }

    /// The container's own port, and who may use it.
    fn open(&self) -> Vec<Element> {
        let ip = self.to.ip();
        if self.sources.is_everybody() {
            return vec![self.open_to(OPEN, unspecified(ip), highest(ip))];
        }
        let sources = self.sources.of_family(ip.is_ipv4());
        let range = |subnet: &IpCidr| (subnet.at(subnet.first()), subnet.at(subnet.last()));
        sources
            .map(range)
            .map(|(first, last)| self.open_to(OPEN, first, last))
            .collect()
    }

    /// The container's own port, for these senders.
    fn open_to(&self, set: &'static str, first: IpAddr, last: IpAddr) -> Element {
        let mut key = octets(self.to.ip());
        key.extend([self.protocol.number(), 0, 0, 0]);
        key.extend(port(self.to.port()));
        let from = [&key[..], &octets(first)].concat();
        let to = [&key[..], &octets(last)].concat();
        element(set, from, Value::RangeEnd(to))
    }

    /// Where it leads.
    pub(super) fn element(&self) -> Element {
        let mut key = Vec::new();
        let unspecified = self.from.ip().is_unspecified();
        if !unspecified {
            key.extend(octets(self.from.ip()));
        }
        // Each part of a key fills whole registers.
        key.extend([self.protocol.number(), 0, 0, 0]);
        key.extend(port(self.from.port()));
        let mut value = octets(self.to.ip());
        value.extend(port(self.to.port()));
        let set = if unspecified { PUBLISHED } else { PUBLISHED_AT };
        element(set, key, Value::Bytes(value))
    }
}

fn port(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [high, low, 0, 0]
}

fn element(set: &'static str, key: Vec<u8>, value: Value) -> Element {
    Element { set, key, value }
}

/// All addresses of a subnet: its first one, and the first one behind it.
fn interval(elements: &mut Vec<Element>, set: &'static str, subnet: &IpCidr, value: Value) {
    let highest = octets(highest(subnet.address()));
    let network = subnet.network();
    elements.push(element(set, octets(network.address()), value));
    // An interval that reaches to the end of all addresses has no end.
    if octets(subnet.at(subnet.last())) != highest {
        let end = subnet.at(subnet.last() + 1);
        elements.push(element(set, octets(end), Value::IntervalEnd));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fill_registers() {
        let forward = |from: &str, to: &str| Forward {
            protocol: Protocol::Tcp,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            sources: Sources::default(),
            direct: false,
        };
        let any = forward("0.0.0.0:8080", "10.0.0.2:80").element();
        assert_eq!(any.set, PUBLISHED);
        assert_eq!(any.key, [6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        assert_eq!(any.value, Value::Bytes(vec![10, 0, 0, 2, 0, 80, 0, 0]));
        let one = forward("[2001:db8::1]:53", "[2001:db8:1::2]:53").element();
        assert_eq!((one.set, one.key.len()), (PUBLISHED_AT, 24));
    }

    #[test]
    fn who_may_use_a_port_are_ranges() {
        let forward = Forward {
            protocol: Protocol::Udp,
            from: "0.0.0.0:53".parse().unwrap(),
            to: "10.0.0.2:53".parse().unwrap(),
            sources: Sources::parse("192.0.2.0/24, 2001:db8::/32").unwrap(),
            direct: false,
        };
        let [_, admitted, guarded] = &forward.elements()[..] else {
            panic!("{forward:?}");
        };
        let port = [17, 0, 0, 0, 0, 53, 0, 0];
        let range = |from: &[u8], to: &[u8]| (from.to_vec(), Value::RangeEnd(to.to_vec()));
        let parts = |element: &Element| (element.key.clone(), element.value.clone());
        let (low, high) = (
            [&[0; 4][..], &port].concat(),
            [&[255; 4][..], &port].concat(),
        );
        assert_eq!((guarded.set, parts(guarded)), (GUARDED, range(&low, &high)));
        let sources = range(
            &[&low[..], &[192, 0, 2, 0]].concat(),
            &[&high[..], &[192, 0, 2, 255]].concat(),
        );
        assert_eq!((admitted.set, parts(admitted)), (ADMITTED, sources));
    }

    #[test]
    fn intervals_end_behind_the_subnet() {
        let mut elements = Vec::new();
        for subnet in ["10.1.0.0/16", "255.255.0.0/16"] {
            let subnet = subnet.parse().unwrap();
            interval(&mut elements, SUBNETS, &subnet, Value::Nothing);
        }
        let keys: Vec<_> = elements.iter().map(|e| e.key.clone()).collect();
        assert_eq!(keys, [[10, 1, 0, 0], [10, 2, 0, 0], [255, 255, 0, 0]]);
    }
}
