//! Networks of containers: the bridge and its addresses, network sandboxes
//! (a network namespace with its end of a veth pair), the firewall, and the
//! text of the three network files a container sees.
//!
//! Life of a sandbox:
//!
//! ```text
//! pool thread        unshare(CLONE_NEWNET) → fd; veth + bridge port in one
//!                    message; lo up, eth0, address, default route
//! Network::attach    takes a ready one (or builds one), names it to a container
//! engine → shim      passes the fd on; the container's process enters it
//! Network::release   forgets the container; the kernel tears the rest down
//!                    when the last process and the last fd are gone
//! ```
//!
//! Invariants:
//! * A sandbox is held by file descriptors alone, nothing is bind-mounted: what
//!   a killed daemon leaves behind without a process in it vanishes by itself.
//! * The kernel is the record of addresses in use: a host-side veth carries its
//!   sandbox's address in its name (`vethac110002x7f`), and while such a link
//!   exists, its address is not handed out.
//! * Only links below our bridge, our bridge and our nf_tables tables are ever
//!   changed; foreign bridges and tables are not, nor are the parents of macvlan and
//!   ipvlan networks.
//!
//! This crate blocks, knows no container process and no HTTP.

mod announce;
mod attach;
mod attachment;
mod bridge;
mod builtin;
mod catalogue;
mod cidr;
mod commands;
mod config;
mod configuration;
mod create;
mod default_bridge;
mod definition;
mod drivers;
mod endpoint_settings;
mod error;
mod explain;
mod files;
mod firewall;
mod ip_cidr;
mod ipam;
mod links;
mod mode;
mod names;
mod netlink;
mod network;
mod pool;
mod ports;
mod publish;
mod random;
mod records;
mod repair;
mod sandbox;
mod seen;
mod segment;
mod subnet;
mod sysctl;
mod watch;

pub use attach::AttachRequest;
pub use attachment::{
    Attachment, Endpoint, EndpointRequest, Interface, MacAddress, Place, Sandbox,
};
pub use cidr::{CidrError, Ipv4Cidr};
pub use config::{AddressPool, BridgeChoice, Mark, NetworkConfig};
pub use definition::{Definition, SubnetConfig};
pub use endpoint_settings::check as check_endpoint_sysctls;
pub use error::Error;
pub use explain::{Packet, WayIn};
pub use files::{DnsOptions, HostFiles, NameFiles, NameRequest, parse_extra_hosts};
pub use ip_cidr::IpCidr;
pub use links::Linked;
pub use mode::NetworkMode;
#[cfg(fuzzing)]
pub use names::read_message as read_name_message;
pub use network::{Living, Network};
pub use ports::{HostPorts, PortRequest, Protocol, Published, Sources};
