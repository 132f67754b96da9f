//! What a container has of a network: the values that `inspect` shows and the
//! engine keeps, and the sandbox that its process enters.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ip_cidr::IpCidr;
use crate::links::Linked;
use crate::mode::NetworkMode;
use crate::ports::{Published, Sources};

/// An Ethernet address; its text is `02:42:ac:11:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The address that Docker derives from an IPv4 address: stable, unicast,
    /// locally administered, and unique on the bridge as the IPv4 address is.
    pub fn for_ipv4(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("invalid MAC address: {text}");
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2);
            *byte = part
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(wrong)?;
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(wrong()),
        }
    }
}

/// An address of an interface, and the way out by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The address, with the length of the subnet's prefix.
    pub address: IpCidr,
    /// Where packets for others go; `None` where there is no way out, unspecified where
    /// they go onto the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// A container's place in one network. In `none` and `host` it has no interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `NetworkID`: 64 hexadecimal digits, stable over restarts.
    pub network_id: String,
    /// The network's name.
    pub network: String,
    /// `EndpointID`: 64 hexadecimal digits, new at each attach.
    pub endpoint_id: String,
    /// Its IPv4 address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Place>,
    /// Its IPv6 address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Place>,
    /// The interface, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    /// The highest one has the default route.
    #[serde(default)]
    pub gw_priority: i64,
    /// What the network's other containers know it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// What it alone knows others by: the other name, and whose it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<(String, String)>,
}

/// An interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its Ethernet address (`MacAddress`).
    pub mac: MacAddress,
    /// Its name in there, such as `eth0`.
    pub name: String,
    /// The name of the veth pair's other end, on the host's bridge; empty where the
    /// host has no part of it.
    pub host_name: String,
}

impl Endpoint {
    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let places = [self.ipv4, self.ipv6].into_iter().flatten();
        places.map(|place| place.address.address()).collect()
    }

    /// Its place in a family of addresses.
    pub(crate) fn place(&self, ipv4: bool) -> Option<Place> {
        if ipv4 { self.ipv4 } else { self.ipv6 }
    }

    fn has_way_out(&self, ipv4: bool) -> bool {
        self.place(ipv4)
            .is_some_and(|place| place.gateway.is_some())
    }

    /// How well it serves as the way out; of equals the network with the first
    /// name does.
    fn preference(&self) -> (i64, bool, std::cmp::Reverse<&str>) {
        let both = self.has_way_out(true) && self.has_way_out(false);
        let name = std::cmp::Reverse(self.network.as_str());
        (self.gw_priority, both, name)
    }
}

/// A container's networks, as `inspect` shows them. The engine keeps this with the
/// container's state and hands it to
/// [`Network::reconcile`](crate::Network::reconcile) after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Which kind of network.
    pub mode: NetworkMode,
    /// `SandboxID`: 64 hexadecimal digits, new at each attach.
    pub sandbox_id: String,
    /// Its places, in the order of their interfaces.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// The ports of the host that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
    /// Who may use these.
    #[serde(default, skip_serializing_if = "Sources::is_everybody")]
    pub sources: Sources,
    /// The ports of others that are open to it alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<Linked>,
}

impl Attachment {
    /// The endpoints that have the default routes of IPv4 and of IPv6, and what is
    /// published of these: one that has both, rather than two.
    pub fn gateways(&self) -> [Option<&Endpoint>; 2] {
        [true, false].map(|ipv4| {
            let ways = self.endpoints.iter().filter(|e| e.has_way_out(ipv4));
            ways.max_by_key(|endpoint| endpoint.preference())
        })
    }

    /// The first of these.
    pub fn gateway(&self) -> Option<&Endpoint> {
        self.gateways().into_iter().flatten().next()
    }

    /// The endpoint in a network.
    pub fn endpoint(&self, network_id: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.network_id == network_id)
    }
}

/// What a container wants of one network; the empty value leaves all to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointRequest {
    /// The network's id.
    pub network_id: String,
    /// This IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// This IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// No IPv6 address, since the container has switched IPv6 off.
    pub no_ipv6: bool,
    /// These further addresses, of links.
    pub link_local: Vec<IpAddr>,
    /// This Ethernet address.
    pub mac: Option<MacAddress>,
    /// This name of the interface; empty for the next one.
    pub interface: String,
    /// These kernel settings of it: `net.ipv4.conf.IFNAME.log_martians=1`.
    pub sysctls: Vec<String>,
    /// The highest one has the default route.
    pub gw_priority: i64,
    /// What the network's other containers shall know it by.
    pub dns_names: Vec<String>,
    /// What it alone knows others by: the other name, and whose it is.
    pub links: Vec<(String, String)>,
}

/// A network namespace that waits for its container.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The namespace to enter (`setns`); `None` for the host's own. The
    /// namespace lives as long as a process is in it or a descriptor is open:
    /// drop this value once the container's process has entered.
    pub netns: Option<Arc<OwnedFd>>,
    /// What `inspect` shows.
    pub attachment: Attachment,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(network: &str, four: bool, six: bool, priority: i64) -> Endpoint {
        let place = |text: &str| Place {
            address: text.parse().unwrap(),
            gateway: Some(IpAddr::from([10, 0, 0, 1])),
        };
        Endpoint {
            network_id: network.to_owned(),
            network: network.to_owned(),
            endpoint_id: String::new(),
            ipv4: four.then(|| place("10.0.0.2/24")),
            ipv6: six.then(|| place("fd00::2/64")),
            interface: None,
            gw_priority: priority,
            dns_names: Vec::new(),
            links: Vec::new(),
        }
    }

    #[test]
    fn the_way_out_is_chosen_as_docker_does() {
        let gateway = |endpoints: Vec<Endpoint>| {
            let attachment = Attachment {
                mode: NetworkMode::User,
                sandbox_id: String::new(),
                endpoints,
                published: Vec::new(),
                sources: Sources::default(),
                linked: Vec::new(),
            };
            attachment.gateway().map(|e| e.network.clone())
        };
        let (a, b) = (endpoint("a", true, false, 0), endpoint("b", true, false, 0));
        let both = endpoint("both", true, true, 0);
        let first = endpoint("z", true, false, 5);
        let inner = endpoint("inner", false, false, 9);
        assert_eq!(gateway(vec![b.clone(), a.clone()]).unwrap(), "a");
        assert_eq!(gateway(vec![a.clone(), both.clone()]).unwrap(), "both");
        assert_eq!(gateway(vec![a, both, first, inner.clone()]).unwrap(), "z");
        assert_eq!(gateway(vec![inner]), None);
        let two = Attachment {
            mode: NetworkMode::User,
            sandbox_id: String::new(),
            endpoints: vec![
                endpoint("six", false, true, 9),
                endpoint("four", true, false, 0),
            ],
            published: Vec::new(),
            sources: Sources::default(),
            linked: Vec::new(),
        };
        let names = two.gateways().map(|e| e.map(|e| e.network.as_str()));
        assert_eq!(names, [Some("four"), Some("six")]);
    }

    #[test]
    fn ethernet_addresses_are_understood() {
        let mac: MacAddress = "02:42:AC:11:00:09".parse().unwrap();
        assert_eq!(mac.to_string(), "02:42:ac:11:00:09");
        assert_eq!("02-42-ac-11-00-09".parse(), Ok(mac));
        for wrong in [
            "",
            "nope",
            "02:42:ac:11:00",
            "02:42:ac:11:00:09:0a",
            "2:42:ac:11:00:09",
        ] {
            assert!(wrong.parse::<MacAddress>().is_err(), "{wrong}");
        }
    }
}
