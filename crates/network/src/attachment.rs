//! What a container has of a network: the values that `inspect` shows and the
//! engine keeps, and the sandbox that its process enters.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::mode::NetworkMode;
use crate::ports::Published;

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

/// A container's interface on a bridge network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The container's address (`IPAddress`).
    pub address: Ipv4Addr,
    /// The subnet's prefix length (`IPPrefixLen`).
    pub prefix: u8,
    /// The default route's next hop (`Gateway`): the bridge's address.
    pub gateway: Ipv4Addr,
    /// The interface's Ethernet address (`MacAddress`).
    pub mac: MacAddress,
    /// The interface's name inside: `eth0`.
    pub interface: String,
    /// The name of the other end of the veth pair, on the host's bridge.
    pub host_interface: String,
}

/// A container's connection to a network, as `inspect` shows it. The engine
/// keeps it with the container's state and hands it to
/// [`Network::reconcile`](crate::Network::reconcile) after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Which kind of network.
    pub mode: NetworkMode,
    /// `NetworkID`: 64 hexadecimal digits, stable over restarts.
    pub network_id: String,
    /// `EndpointID`: 64 hexadecimal digits, new at each attach.
    pub endpoint_id: String,
    /// `SandboxID`: 64 hexadecimal digits, new at each attach.
    pub sandbox_id: String,
    /// The interface, for bridge networks.
    pub endpoint: Option<Endpoint>,
    /// The ports of the host that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
}

impl Attachment {
    /// The container's addresses.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let endpoint = self.endpoint.iter();
        endpoint.map(|e| IpAddr::V4(e.address)).collect()
    }
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
