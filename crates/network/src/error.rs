//! What can go wrong with networks, in words for the user of the engine.

use std::net::{IpAddr, SocketAddr};

use gantry_types::ErrorKind;

use crate::ports::Protocol;

/// An operation on a network, a sandbox or the firewall failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network mode names a network that does not exist.
    #[error("network {0} not found")]
    NetworkNotFound(String),
    /// A known option or mode that this engine does not support yet.
    #[error("{0} is not supported yet")]
    NotYet(String),
    /// An option has a value that makes no sense.
    #[error("{option}: {reason}")]
    InvalidOption {
        /// The option as the user wrote it.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two of the daemon's options cannot both hold.
    #[error("{0}")]
    OptionsContradict(&'static str),
    /// The kernel lacks nf_tables, or it may not be used here.
    #[error(
        "the firewall cannot be programmed: the kernel refused nf_tables ({reason}); \
         load the nf_tables modules, or switch the firewall off with iptables=false"
    )]
    NoNfTables {
        /// The kernel's answer.
        reason: String,
    },
    /// The kernel refused a netlink request.
    #[error("{operation} {object}: {}{}", std::io::Error::from_raw_os_error(*.errno), .detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Kernel {
        /// What was asked for.
        operation: &'static str,
        /// The link, address or table that was meant.
        object: String,
        /// The kernel's error number.
        errno: i32,
        /// The kernel's own explanation (extended acknowledgement), if it gave one.
        detail: Option<String>,
    },
    /// A system call other than a netlink request failed.
    #[error("{operation} {object}: {source}")]
    System {
        /// What was attempted.
        operation: &'static str,
        /// The path or object.
        object: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The kernel's answer could not be understood.
    #[error("{operation}: the kernel's answer is malformed: {reason}")]
    Malformed {
        /// What was asked for.
        operation: &'static str,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// A network of a swarm, where there is none.
    #[error(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
         connect this node to swarm and try again."
    )]
    NoSwarm,
    /// Every default subnet overlaps with something on this host.
    #[error("all predefined address pools have been fully subnetted")]
    NoFreeSubnet,
    /// All addresses of a subnet are taken.
    #[error("no available {} addresses on this network's address pools: {network} ({id})", if *.ipv4 { "IPv4" } else { "IPv6" })]
    AddressesExhausted {
        /// The network's name.
        network: String,
        /// Its id.
        id: String,
        /// Of which family.
        ipv4: bool,
    },
    /// Something that is neither the client's fault nor a single refusal of the kernel;
    /// the text is Docker's where it has one.
    #[error("{0}")]
    Failed(String),
    /// Another container has the port.
    #[error("Bind for {}:{} failed: port is already allocated", .0.ip(), .0.port())]
    PortAllocated(SocketAddr),
    /// No port is left of those that would do.
    #[error("all ports are allocated")]
    AllPortsAllocated,
    /// The system does not give the port.
    #[error("failed to bind host port for {host}{container}/{protocol}: {}", in_words(*.errno))]
    PortBind {
        /// The host's address and port.
        host: SocketAddr,
        /// The container's, with a colon before it, if it has any.
        container: String,
        /// Of both.
        protocol: Protocol,
        /// The system's answer.
        errno: i32,
    },
    /// The wished address is another's.
    #[error("Address already in use")]
    AddressInUse,
    /// What a client asks for makes no sense; the text is Docker's.
    #[error("{0}")]
    Invalid(String),
    /// What a client asks for collides with what is there; the text is Docker's.
    #[error("{0}")]
    Conflict(String),
    /// What a client asks for is not allowed; the text is Docker's.
    #[error("{0}")]
    Forbidden(String),
    /// Something that a client names does not exist; the text is Docker's.
    #[error("{0}")]
    NotFound(String),
    /// The bridge exists but cannot be used as it is.
    #[error("bridge {name}: {reason}")]
    Bridge {
        /// The bridge's name.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A live container claims an address that belongs to another one.
    #[error("address {address} is used by containers {first} and {second}")]
    AddressClaimedTwice {
        /// The address.
        address: IpAddr,
        /// The container that has it.
        first: String,
        /// The container that claims it too.
        second: String,
    },
    /// The network's record could not be read or written.
    #[error("network record {name}: {source}")]
    Record {
        /// The network's name.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The networks were shut down.
    #[error("the networks of this daemon are shut down")]
    ShutDown,
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NetworkNotFound(_) | Self::NotFound(_) => ErrorKind::NotFound,
            Self::Invalid(_) => ErrorKind::InvalidArgument,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotYet(_) | Self::NoNfTables { .. } => ErrorKind::Unsupported,
            Self::InvalidOption { .. } | Self::OptionsContradict(_) => ErrorKind::InvalidArgument,
            Self::NoFreeSubnet
            | Self::NoSwarm
            | Self::AddressesExhausted { .. }
            | Self::ShutDown => ErrorKind::Unavailable,
            Self::Bridge { .. } | Self::AddressClaimedTwice { .. } => ErrorKind::Conflict,
            Self::AddressInUse
            | Self::PortAllocated(_)
            | Self::AllPortsAllocated
            | Self::PortBind { .. }
            | Self::Failed(_)
            | Self::Kernel { .. }
            | Self::System { .. }
            | Self::Malformed { .. }
            | Self::Record { .. } => ErrorKind::Internal,
        }
    }

    /// What the kernel refuses, in Docker's words: what was attempted and why not.
    pub(crate) fn refused(attempt: &str, error: Self) -> Self {
        match error.errno() {
            Some(errno) => Self::Failed(format!("{attempt}: {}", in_words(errno))),
            None => error,
        }
    }

    /// The kernel's error number, if this is its refusal of a netlink request.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// The text of an error number as Docker has it: without its number, and in
/// small letters.
fn in_words(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_ascii_lowercase()
}
