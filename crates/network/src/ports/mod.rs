//! Published ports: what was asked for, which ports of the host that becomes,
//! and how they stay ours.
//!
//! ```text
//! PortRequest ─► Ports::reserve ─► a bound socket for each address and port
//!                     │                    └─► Proxy, for what the kernel cannot do
//!                     └─► Published ─► Firewall::publish (one map element each)
//! ```
//!
//! Invariant: a port is open exactly as long as its container has it. The sockets
//! go with the daemon, the firewall's elements do not: so ports stay open while
//! no daemon runs, and the next one takes over those that are still wanted.

mod protocol;
mod proxy;
mod request;
mod socket;
mod sources;
mod table;

pub use protocol::Protocol;
pub use request::{HostPorts, PortRequest};
pub use sources::Sources;
pub(crate) use table::{Ports, Way, preferred};

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// A port of the host that leads to a port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Published {
    /// The transport protocol of both ports.
    pub protocol: Protocol,
    /// The container's port.
    pub container_port: u16,
    /// The host's address; unspecified for all of its family.
    pub host_ip: IpAddr,
    /// The host's port.
    pub host_port: u16,
}

impl Published {
    /// Address and port of the host.
    pub fn host(&self) -> SocketAddr {
        SocketAddr::new(self.host_ip, self.host_port)
    }
}
