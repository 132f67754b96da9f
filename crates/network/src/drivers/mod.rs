//! What differs between kinds of networks: how a container's interface is made, what
//! stays of the network on the host, and what a definition may say.
//!
//! ```text
//! bridge    veth pair, its outer end a port of the network's bridge
//! overlay   the same, and a VXLAN port that leads to the bridges of other hosts
//! macvlan   one link, made in the container's namespace on top of a parent link
//! ipvlan    the same, with the parent's Ethernet address
//! ```
//!
//! Addresses and names are nobody's business here; [`Segment`](crate::segment::Segment)
//! has them.

mod bridge;
mod ipvlan;
mod macvlan;
mod overlay;
mod parent;

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::attachment::{Interface, MacAddress};
use crate::bridge::Bridge;
use crate::config::NetworkConfig;
use crate::definition::Definition;
use crate::error::Error;
use crate::netlink::Socket;
use crate::seen::Seen;

pub(crate) use bridge::BridgeDriver;
pub(crate) use overlay::is_of_swarm;

/// An interface that is to be made.
#[derive(Debug)]
pub(crate) struct Plug<'a> {
    /// The container's network namespace.
    pub(crate) namespace: BorrowedFd<'a>,
    /// What the interface is called in there.
    pub(crate) name: &'a str,
    /// Its Ethernet address, if that shall not be chosen.
    pub(crate) mac: Option<MacAddress>,
    /// Four bytes of its address, which say on the host whose it is.
    pub(crate) tag: Ipv4Addr,
}

/// A network at work. All work on the host is done through the socket that is
/// handed in, which is the host's.
pub(crate) trait NetworkDriver: Debug + Send + Sync {
    /// Makes an interface.
    ///
    /// Fails with what the kernel refuses.
    fn plug(&self, socket: &mut Socket, plug: &Plug<'_>) -> Result<Interface, Error>;

    /// Whether an interface that was made a while ago is still connected.
    fn is_plugged(&self, _: &mut Socket, _: &Interface) -> bool {
        true
    }

    /// Connects an interface again, after the bridge was made again.
    fn reconnect(&self, _: &mut Socket, _: &Interface) -> Result<(), Error> {
        Ok(())
    }

    /// Whether the network carries the packets of a new interface by now.
    fn carries(&self, _: &mut Socket, _: &Interface) -> Result<bool, Error> {
        Ok(true)
    }

    /// The names of what the network has on this host, by which it is seen that one of
    /// them is gone.
    fn links(&self) -> Vec<String> {
        self.bridge().map(|b| b.name.clone()).into_iter().collect()
    }

    /// Makes again what somebody took away of the network, besides its bridge.
    fn restore(&self, _: &mut Socket) -> Result<(), Error> {
        Ok(())
    }

    /// The bridge on this host, where the network has one.
    fn bridge(&self) -> Option<&Bridge> {
        None
    }

    /// The UDP port that other hosts send to, and these hosts: nobody else is let in.
    fn peers(&self) -> Option<(u16, &[IpAddr])> {
        None
    }

    /// Takes away what the network itself has on this host.
    fn delete(&self, socket: &mut Socket) -> Result<(), Error>;
}

/// Checks what only its driver understands of a definition, and notes what of the
/// host it takes over. `all` are the other networks.
///
/// Fails with `Invalid`, `Forbidden` and `NotFound` in Docker's words.
pub(crate) fn check(
    socket: &mut Socket,
    definition: &mut Definition,
    all: &[Arc<Definition>],
) -> Result<(), Error> {
    match definition.driver.as_str() {
        "macvlan" => macvlan::check(socket, definition, all),
        "ipvlan" => ipvlan::check(socket, definition, all),
        "overlay" => overlay::check(socket, definition, all),
        _ => bridge::check(socket, definition, all),
    }
}

/// Brings a user's network to work; what is missing of it on this host is made.
pub(crate) fn open(
    socket: &mut Socket,
    seen: &Seen,
    config: &NetworkConfig,
    definition: &Definition,
) -> Result<Box<dyn NetworkDriver>, Error> {
    Ok(match definition.driver.as_str() {
        "macvlan" => Box::new(macvlan::Macvlan::open(socket, definition)?),
        "ipvlan" => Box::new(ipvlan::Ipvlan::open(socket, definition)?),
        "overlay" => Box::new(overlay::Overlay::open(socket, seen, definition)?),
        _ => {
            let mtu = definition.mtu(config.mtu)?;
            Box::new(BridgeDriver::open(socket, seen, definition, mtu)?)
        }
    })
}
