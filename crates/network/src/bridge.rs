//! The bridge of a network: made or adopted, addressed, brought up.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::attachment::MacAddress;
use crate::cidr::Ipv4Cidr;
use crate::definition::{self, Definition};
use crate::error::Error;
use crate::ip_cidr::IpCidr;
use crate::netlink::Socket;
use crate::netlink::route::{self, Link};
use crate::sandbox::tolerate_gone;
use crate::seen::Seen;
use crate::{random, sysctl};

/// The longest name of an interface.
const NAME_LIMIT: usize = 15;

/// A bridge that is up and has its addresses.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    /// Changes when somebody deletes the bridge and it is made again.
    index: AtomicU32,
    /// Its addresses and subnets; the gateways of its containers.
    pub(crate) addresses: Vec<IpCidr>,
    /// The network's subnets, also those that it has no address in.
    subnets: Vec<IpCidr>,
    /// Its IPv4 addresses are somebody else's business.
    inhibited: bool,
    /// Whether it is ours, to repair and to delete.
    pub(crate) own: bool,
    mtu: u32,
    /// Containers know it: it stays the same when the bridge is made again.
    mac: Option<MacAddress>,
}

impl Bridge {
    /// A bridge of the default network with these addresses; ours is brought up with
    /// them.
    pub(crate) fn with_addresses(
        socket: &mut Socket,
        seen: &Seen,
        link: &Link,
        addresses: Vec<IpCidr>,
        own: bool,
        mtu: u32,
    ) -> Result<Self, Error> {
        let bridge = Self {
            name: link.name.clone(),
            index: AtomicU32::new(link.index),
            subnets: addresses.clone(),
            addresses,
            inhibited: false,
            own,
            mtu,
            mac: link.mac,
        };
        if own {
            bridge.settle(socket, link, seen.addresses_of(link.index))?;
        }
        Ok(bridge)
    }

    /// Makes the bridge of a user's network, or takes one over that is there; one
    /// that is not our `own` keeps what it has.
    pub(crate) fn make(
        socket: &mut Socket,
        seen: &Seen,
        name: &str,
        definition: &Definition,
        mtu: u32,
    ) -> Result<Self, Error> {
        let own = !definition.adopted;
        check_name("bridge", name)?;
        let link = make(socket, name, mtu, None)?;
        let current = seen.addresses_of(link.index);
        let bridge = Self {
            name: name.to_owned(),
            index: AtomicU32::new(link.index),
            addresses: definition.bridge_addresses()?,
            subnets: definition.gateways.clone(),
            inhibited: definition.flag(definition::INHIBIT_IPV4, false)?,
            own,
            mtu,
            mac: link.mac,
        };
        let settled = bridge.settle(socket, &link, current);
        match settled.and_then(|()| bridge.take_ports(socket, seen, link.index)) {
            Ok(()) => Ok(bridge),
            Err(error) => {
                if current.is_empty() && own {
                    let _ = bridge.delete(socket);
                }
                Err(error)
            }
        }
    }

    /// Whether there is an interface of that name.
    pub(crate) fn exists(socket: &mut Socket, name: &str) -> Result<bool, Error> {
        check_name("bridge", name)?;
        Ok(route::link_by_name(socket, name)?.is_some())
    }

    /// Its IPv4 address and subnet.
    pub(crate) fn ipv4(&self) -> Option<Ipv4Cidr> {
        self.addresses.iter().find_map(IpCidr::to_ipv4)
    }

    /// The interface's index.
    pub(crate) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    /// Whether it is still the one that we know.
    pub(crate) fn is_there(&self, socket: &mut Socket) -> Result<bool, Error> {
        let link = route::link_by_name(socket, &self.name)?;
        Ok(link.is_some_and(|link| link.index == self.index()))
    }

    /// Makes the bridge again after somebody deleted it, and connects the
    /// sandboxes that lost it.
    pub(crate) fn repair(&self, socket: &mut Socket) -> Result<(), Error> {
        let link = if self.own {
            make(socket, &self.name, self.mtu, self.mac)?
        } else {
            existing(socket, &self.name)?
        };
        if link.index == self.index() {
            return Ok(());
        }
        tracing::warn!(
            bridge = self.name,
            "the bridge was deleted; it is made again"
        );
        self.index.store(link.index, Ordering::Relaxed);
        let seen = Seen::look(socket)?;
        if self.own {
            self.settle(socket, &link, seen.addresses_of(link.index))?;
        }
        self.take_ports(socket, &seen, link.index)
    }

    /// Makes ports of the links that are of this bridge and of none now: of one that was
    /// deleted.
    fn take_ports(&self, socket: &mut Socket, seen: &Seen, index: u32) -> Result<(), Error> {
        for (address, port) in &seen.ports {
            let ours = self.subnets.iter().any(|s| s.contains((*address).into()));
            if ours && port.controller == 0 {
                let taken = route::set_bridge(port.index, index, &port.name);
                tolerate_gone(socket.apply(vec![taken]))?;
            }
        }
        Ok(())
    }

    /// Gives the bridge its addresses and MTU, takes other addresses from our own
    /// one, and brings it up.
    fn settle(&self, socket: &mut Socket, link: &Link, current: &[IpCidr]) -> Result<(), Error> {
        let name = &self.name;
        let mut requests = Vec::new();
        for other in current.iter().filter(|a| !self.addresses.contains(a)) {
            if self.own && !(self.inhibited && other.is_ipv4()) {
                requests.push(route::delete_address(link.index, *other, name));
            }
        }
        let six = self.addresses.iter().any(|address| !address.is_ipv4());
        if six {
            sysctl::set_if_possible(&format!("ipv6/conf/{name}/disable_ipv6"), "0");
            // Nobody else has its link's address; until that were tried, a second or two
            // after the first container, others' packets would not be led to containers.
            sysctl::set_if_possible(&format!("ipv6/conf/{name}/accept_dad"), "0");
        }
        for address in self.addresses.iter().filter(|a| !current.contains(a)) {
            requests.push(route::add_address(link.index, *address, name));
        }
        if link.mtu != self.mtu {
            requests.push(route::set_mtu(link.index, self.mtu, name));
        }
        requests.push(route::set_up(link.index, name));
        sysctl::set_if_possible(&format!("ipv6/conf/{name}/accept_ra"), "0");
        socket.apply(requests)
    }

    /// Deletes the bridge, if it is ours and there.
    pub(crate) fn delete(&self, socket: &mut Socket) -> Result<(), Error> {
        if !self.own {
            return Ok(());
        }
        match route::link_by_name(socket, &self.name)? {
            Some(link) if link.kind == "bridge" => {
                socket.apply(vec![route::delete_link(link.index, &self.name)])
            }
            _ => Ok(()),
        }
    }
}

/// Checks what shall be the name of an interface, which an option gives.
pub(crate) fn check_name(option: &str, name: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%');
    let valid = !name.is_empty()
        && name.len() <= NAME_LIMIT
        && name.bytes().all(allowed)
        && !matches!(name, "." | ".." | "all" | "default");
    if valid {
        return Ok(());
    }
    Err(Error::InvalidOption {
        option: option.to_owned(),
        reason: format!("{name:?} cannot be the name of an interface"),
    })
}

/// Makes a bridge, or finds it.
pub(crate) fn make(
    socket: &mut Socket,
    name: &str,
    mtu: u32,
    mac: Option<MacAddress>,
) -> Result<Link, Error> {
    if route::link_by_name(socket, name)?.is_none() {
        let [a, b, c, d] = random::bytes()?;
        let mac = mac.unwrap_or(MacAddress([0x02, 0x42, a, b, c, d]));
        match socket.apply(vec![route::add_bridge(name, mac, mtu)]) {
            Err(error) if error.errno() != Some(libc::EEXIST) => return Err(error),
            _ => {}
        }
    }
    existing(socket, name)
}

/// Finds a bridge.
pub(crate) fn existing(socket: &mut Socket, name: &str) -> Result<Link, Error> {
    let unusable = |reason: &str| Error::Bridge {
        name: name.to_owned(),
        reason: reason.to_owned(),
    };
    match route::link_by_name(socket, name)? {
        None => Err(unusable("there is no such interface")),
        Some(link) if link.kind != "bridge" => Err(unusable(
            "an interface of this name exists, but it is not a bridge",
        )),
        Some(link) => Ok(link),
    }
}
