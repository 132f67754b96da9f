//! Building a sandbox: a new network namespace, and for bridge networks a veth
//! pair from the bridge into it.
//!
//! ```text
//! in a thread of the new namespace        on the host
//! ───────────────────────────────         ─────────────────────────────
//! unshare, settings
//!                                         one message: veth + port + peer inside
//! one datagram: lo up, address, eth0 up, default route
//! ```

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::attachment::{Endpoint, MacAddress};
use crate::bridge::Bridge;
use crate::cidr::Ipv4Cidr;
use crate::error::Error;
use crate::ipam::{Addresses, Taken};
use crate::netlink::route::{self, VethPair};
use crate::netlink::{Family, Socket};
use crate::{random, sysctl};

/// The name of a container's interface.
const INSIDE: &str = "eth0";
/// The loopback interface is the first one of every namespace.
const LOOPBACK: u32 = 1;
/// How often a random name that is taken is drawn again.
const NAME_ATTEMPTS: usize = 16;
/// How long a new bridge port is waited for, and in what steps.
const FORWARDING_LIMIT: Duration = Duration::from_millis(250);
const FORWARDING_STEP: Duration = Duration::from_micros(500);

/// A sandbox that belongs to no container yet.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) netns: OwnedFd,
    pub(crate) endpoint: Option<Endpoint>,
}

/// All that building needs; shared by the pool's thread and those that attach.
#[derive(Debug)]
pub(crate) struct Builder {
    socket: Mutex<Socket>,
    addresses: Option<Mutex<Addresses>>,
    bridge: Option<Bridge>,
    mtu: u32,
    isolate_ports: bool,
}

impl Builder {
    /// A builder in the namespace of `socket`. Addresses of links that are on
    /// the bridge already are not handed out while these exist.
    pub(crate) fn new(
        mut socket: Socket,
        bridge: Option<Bridge>,
        mtu: u32,
        isolate_ports: bool,
    ) -> Result<Self, Error> {
        let addresses = match &bridge {
            None => None,
            Some(bridge) => {
                let mut addresses = Addresses::new(bridge.address);
                for link in route::links(&mut socket)? {
                    if let Some(address) = address_of_link(&link.name) {
                        addresses.found_link(address, link.name);
                    }
                }
                Some(Mutex::new(addresses))
            }
        };
        Ok(Self {
            socket: Mutex::new(socket),
            addresses,
            bridge,
            mtu,
            isolate_ports,
        })
    }

    pub(crate) fn bridge(&self) -> Option<&Bridge> {
        self.bridge.as_ref()
    }

    pub(crate) fn socket(&self) -> MutexGuard<'_, Socket> {
        lock(&self.socket)
    }

    /// A sandbox with nothing but loopback; in the namespace `own`, or a new one.
    pub(crate) fn build_none(&self, own: Option<OwnedFd>) -> Result<Ready, Error> {
        let netns = in_namespace(own, || {
            let mut inside = Socket::open(Family::Route)?;
            set_defaults();
            inside.apply(vec![route::set_up(LOOPBACK, "lo")])
        })?;
        Ok(Ready {
            netns,
            endpoint: None,
        })
    }

    /// A sandbox on the bridge; in the namespace `own`, or a new one.
    ///
    /// Fails with `AddressesExhausted`, or with `NetworkNotFound` if there is
    /// no bridge network.
    pub(crate) fn build_on_bridge(&self, own: Option<OwnedFd>) -> Result<Ready, Error> {
        let (Some(bridge), Some(addresses)) = (&self.bridge, &self.addresses) else {
            return Err(Error::NetworkNotFound("bridge".to_owned()));
        };
        let mut endpoint = None;
        let built = in_namespace(own, || {
            let here =
                gantry_sys::netns::current().map_err(|errno| namespace_error("open", errno))?;
            let mut inside = Socket::open(Family::Route)?;
            set_defaults();
            let address = self.take_address(bridge, addresses)?;
            let made = endpoint.insert(Endpoint {
                address,
                prefix: bridge.address.prefix(),
                gateway: bridge.address.address(),
                mac: MacAddress::for_ipv4(address),
                interface: INSIDE.to_owned(),
                host_interface: String::new(),
            });
            self.connect(bridge, made, &here)?;
            furnish(&mut inside, made)?;
            self.wait_until_forwarding(bridge, made)
        });
        match built {
            Ok(netns) => Ok(Ready { netns, endpoint }),
            Err(error) => {
                if let Some(endpoint) = endpoint {
                    self.release(&endpoint);
                }
                Err(error)
            }
        }
    }

    /// Whether a sandbox that was built a while ago is still on the bridge.
    pub(crate) fn is_connected(&self, endpoint: &Endpoint) -> bool {
        let Some(bridge) = &self.bridge else {
            return false;
        };
        let link = route::link_by_name(&mut self.socket(), &endpoint.host_interface);
        matches!(link, Ok(Some(link)) if link.controller == bridge.index())
    }

    /// Lets the endpoint's container reach itself by the host's address.
    pub(crate) fn hairpin(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let mut socket = self.socket();
        let name = &endpoint.host_interface;
        match route::link_by_name(&mut socket, name)? {
            Some(link) => socket.apply(vec![route::hairpin(link.index, name)]),
            None => Ok(()),
        }
    }

    /// Gives an endpoint's address back; it is free when its link is gone.
    pub(crate) fn release(&self, endpoint: &Endpoint) {
        if let Some(addresses) = &self.addresses {
            lock(addresses).release(endpoint.address, endpoint.host_interface.clone());
        }
    }

    /// Marks the address of a live container used; whether it was not already.
    pub(crate) fn claim(&self, endpoint: &Endpoint) -> bool {
        self.addresses
            .as_ref()
            .is_none_or(|a| lock(a).claim(endpoint.address))
    }

    /// Waits until the bridge forwards through the new port, and is itself
    /// up if this port is its first. The kernel notices a link that came up in
    /// its own time; since 6.8 a look at the link makes it notice at once.
    /// Without this, a container's first packets may be lost, and TCP waits a
    /// second before it tries again.
    fn wait_until_forwarding(&self, bridge: &Bridge, endpoint: &Endpoint) -> Result<(), Error> {
        let begin = Instant::now();
        let mut socket = self.socket();
        loop {
            let port = route::link_by_name(&mut socket, &endpoint.host_interface)?;
            let switch = route::link_by_index(&mut socket, bridge.index())?;
            let waiting = [port, switch]
                .into_iter()
                .flatten()
                .any(|link| !link.operational);
            if !waiting || begin.elapsed() > FORWARDING_LIMIT {
                return Ok(());
            }
            drop(socket);
            std::thread::sleep(FORWARDING_STEP);
            socket = self.socket();
        }
    }

    fn take_address(
        &self,
        bridge: &Bridge,
        addresses: &Mutex<Addresses>,
    ) -> Result<Ipv4Addr, Error> {
        let mut socket = self.socket();
        let exists = |name: &str| !matches!(route::link_by_name(&mut socket, name), Ok(None));
        let taken = lock(addresses).take(exists);
        match taken {
            Taken::Free(address) => Ok(address),
            Taken::AfterDeleting(address, name) => {
                if let Some(link) = route::link_by_name(&mut socket, &name)? {
                    tolerate_gone(socket.apply(vec![route::delete_link(link.index, &name)]))?;
                }
                Ok(address)
            }
            Taken::Exhausted => Err(Error::AddressesExhausted {
                network: "bridge".to_owned(),
                subnet: bridge.address.network(),
            }),
        }
    }

    /// Makes the veth pair; if the bridge has vanished, makes that again first.
    fn connect(
        &self,
        bridge: &Bridge,
        endpoint: &mut Endpoint,
        namespace: &OwnedFd,
    ) -> Result<(), Error> {
        let mut repaired = false;
        for _ in 0..NAME_ATTEMPTS {
            let name = link_name(endpoint.address)?;
            let pair = VethPair {
                host_name: &name,
                bridge: bridge.index(),
                inside_name: INSIDE,
                inside_mac: endpoint.mac,
                inside_namespace: namespace.as_fd(),
                mtu: self.mtu,
            };
            let mut socket = self.socket();
            match socket.apply(vec![route::add_veth(&pair)]) {
                Ok(()) => {
                    endpoint.host_interface = name;
                    return self.isolate(&mut socket, &endpoint.host_interface);
                }
                Err(error) if error.errno() == Some(libc::EEXIST) => {}
                Err(error) if error.errno() == Some(libc::EXFULL) => {
                    return Err(Error::Bridge {
                        name: bridge.name.clone(),
                        reason: "it has as many ports as the kernel allows (1023)".to_owned(),
                    });
                }
                Err(error) => {
                    let gone = route::link_by_index(&mut socket, bridge.index())?.is_none();
                    if repaired || !gone {
                        return Err(error);
                    }
                    repaired = true;
                    bridge.repair(&mut socket)?;
                }
            }
        }
        Err(Error::Malformed {
            operation: "create veth",
            reason: "every name is taken",
        })
    }

    fn isolate(&self, socket: &mut Socket, name: &str) -> Result<(), Error> {
        if !self.isolate_ports {
            return Ok(());
        }
        match route::link_by_name(socket, name)? {
            Some(link) => socket.apply(vec![route::isolate_port(link.index, name)]),
            None => Ok(()),
        }
    }
}

/// The inside of a sandbox on a bridge, in the thread that is in it.
fn furnish(inside: &mut Socket, endpoint: &Endpoint) -> Result<(), Error> {
    let Some(link) = route::link_by_name(inside, INSIDE)? else {
        return Err(Error::Malformed {
            operation: "look up link eth0",
            reason: "it is missing",
        });
    };
    let Some(address) = Ipv4Cidr::new(endpoint.address, endpoint.prefix) else {
        return Err(Error::Malformed {
            operation: "add an address",
            reason: "prefix above 32",
        });
    };
    // No IPv6 on a network without it, as in Docker.
    sysctl::set_if_possible("ipv6/conf/eth0/disable_ipv6", "1");
    inside.apply(vec![
        route::set_up(LOOPBACK, "lo"),
        route::add_address(link.index, address, INSIDE),
        route::set_up(link.index, INSIDE),
        route::add_default_route(link.index, endpoint.gateway),
    ])
}

/// What Docker lets every container do: bind low ports and send pings without
/// a capability.
fn set_defaults() {
    sysctl::set_if_possible("ipv4/ip_unprivileged_port_start", "0");
    sysctl::set_if_possible("ipv4/ping_group_range", "0 2147483647");
}

fn in_namespace(
    own: Option<OwnedFd>,
    work: impl FnOnce() -> Result<(), Error> + Send,
) -> Result<OwnedFd, Error> {
    let (netns, done) = match own {
        Some(netns) => {
            let done = gantry_sys::netns::enter(&netns, work);
            (
                netns,
                done.map_err(|errno| namespace_error("enter", errno))?,
            )
        }
        None => {
            gantry_sys::netns::create_and(work).map_err(|errno| namespace_error("create", errno))?
        }
    };
    done.map(|()| netns)
}

fn namespace_error(operation: &'static str, errno: rustix::io::Errno) -> Error {
    Error::System {
        operation,
        object: "a network namespace".to_owned(),
        source: errno.into(),
    }
}

fn tolerate_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.errno() == Some(libc::ENODEV) => Ok(()),
        other => other,
    }
}

/// A new name for the host's end of the pair to `address`: `veth`, the address
/// in hexadecimal, three random digits (the former one may still be dying).
fn link_name(address: Ipv4Addr) -> Result<String, Error> {
    let salt = u16::from_ne_bytes(random::bytes()?) & 0xfff;
    Ok(format!("veth{:08x}{salt:03x}", address.to_bits()))
}

/// The address in the name of a link that [`link_name`] named.
pub(crate) fn address_of_link(name: &str) -> Option<Ipv4Addr> {
    let digits = name.strip_prefix("veth")?;
    if digits.len() != 11 || !gantry_types::is_hex(digits) {
        return None;
    }
    u32::from_str_radix(digits.get(..8)?, 16)
        .ok()
        .map(Ipv4Addr::from_bits)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_addresses() {
        let address = Ipv4Addr::new(172, 17, 0, 2);
        let name = link_name(address).unwrap();
        assert!(name.starts_with("vethac110002"));
        assert!(name.len() <= 15);
        assert_eq!(address_of_link(&name), Some(address));
        for foreign in [
            "veth1a2b3c4",
            "eth0",
            "vethac110002",
            "vethAC1100027ff",
            "vethac1100027ffé",
        ] {
            assert_eq!(address_of_link(foreign), None, "{foreign}");
        }
    }
}
