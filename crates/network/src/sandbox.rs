//! Building a sandbox: a network namespace, and in it the interfaces of its networks,
//! such as the inner ends of veth pairs.
//!
//! ```text
//! in a thread of the new namespace        on the host
//! ───────────────────────────────         ─────────────────────────────
//! unshare, settings
//!                                         one message: veth + port + peer inside
//! one datagram: lo up, addresses, eth0 up, default route
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::attachment::{Attachment, Endpoint, EndpointRequest};
use crate::error::Error;
use crate::ip_cidr::IpCidr;
use crate::netlink::route;
use crate::netlink::{Family, Socket};
use crate::segment::Segment;
use crate::{announce, endpoint_settings, random, sysctl};

/// The loopback interface is the first one of every namespace.
const LOOPBACK: u32 = 1;
/// As many interfaces of one kind a container has at most.
const INTERFACES: usize = 256;
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
    /// The default network, if there is one.
    default: Option<Arc<Segment>>,
}

impl Builder {
    /// A builder in the namespace of `socket`.
    pub(crate) fn new(socket: Socket, default: Option<Arc<Segment>>) -> Self {
        Self {
            socket: Mutex::new(socket),
            default,
        }
    }

    /// The default network.
    pub(crate) fn default_segment(&self) -> Option<&Arc<Segment>> {
        self.default.as_ref()
    }

    pub(crate) fn socket(&self) -> MutexGuard<'_, Socket> {
        lock(&self.socket)
    }

    /// A sandbox with nothing but loopback.
    pub(crate) fn build_none(&self) -> Result<Ready, Error> {
        let netns = in_new_namespace(|| {
            let mut inside = Socket::open(Family::Route)?;
            prepare(&mut inside)
        })?;
        Ok(Ready {
            netns,
            endpoint: None,
        })
    }

    /// A sandbox on the default bridge.
    ///
    /// Fails with `AddressesExhausted`, or with `NetworkNotFound` if there is
    /// no bridge network.
    pub(crate) fn build_on_bridge(&self) -> Result<Ready, Error> {
        let Some(segment) = &self.default else {
            return Err(Error::NetworkNotFound("bridge".to_owned()));
        };
        let mut endpoint = None;
        let netns = in_new_namespace(|| {
            let mut inside = Socket::open(Family::Route)?;
            prepare(&mut inside)?;
            let made = self.place(&mut inside, segment, &EndpointRequest::default(), true)?;
            let routed = set_gateways(&mut inside, [Some(&made); 2]);
            endpoint = Some(made);
            routed
        });
        match netns {
            Ok(netns) => Ok(Ready { netns, endpoint }),
            Err(error) => {
                if let Some(endpoint) = endpoint {
                    segment.release(&endpoint);
                }
                Err(error)
            }
        }
    }

    /// Settings and loopback of a namespace that somebody else has made.
    pub(crate) fn prepare(&self, namespace: &OwnedFd) -> Result<(), Error> {
        within(namespace, || prepare(&mut Socket::open(Family::Route)?))
    }

    /// Connects a namespace to networks, in their order: to all of them, or none.
    pub(crate) fn join(
        &self,
        namespace: &OwnedFd,
        attachment: &mut Attachment,
        wanted: &[(Arc<Segment>, &EndpointRequest)],
    ) -> Result<(), Error> {
        let fresh = attachment.endpoints.iter().all(|e| e.interface.is_none());
        let mut made: Vec<Endpoint> = Vec::new();
        let joined = within(namespace, || {
            let mut inside = Socket::open(Family::Route)?;
            for (index, (segment, request)) in wanted.iter().enumerate() {
                let endpoint = self.place(&mut inside, segment, request, fresh && index == 0)?;
                made.push(endpoint);
            }
            let mut future = attachment.clone();
            future.endpoints.extend(made.iter().cloned());
            set_gateways(&mut inside, future.gateways())
        });
        match joined {
            Ok(()) => {
                attachment.endpoints.extend(made);
                Ok(())
            }
            Err(error) => {
                for endpoint in made {
                    let segment = wanted.iter().find(|(s, _)| s.id == endpoint.network_id);
                    if let Some((segment, _)) = segment {
                        self.unplug(segment, &endpoint, Some(namespace));
                    }
                }
                Err(error)
            }
        }
    }

    /// Sets the default routes of a namespace anew.
    pub(crate) fn route(&self, namespace: &OwnedFd, attachment: &Attachment) -> Result<(), Error> {
        within(namespace, || {
            set_gateways(&mut Socket::open(Family::Route)?, attachment.gateways())
        })
    }

    /// Takes an endpoint away at once, with its interface: by its end on the host, or,
    /// where there is none, in the container's namespace.
    pub(crate) fn unplug(
        &self,
        segment: &Segment,
        endpoint: &Endpoint,
        namespace: Option<&OwnedFd>,
    ) {
        if let Some(interface) = &endpoint.interface {
            let deleted = match (interface.host_name.as_str(), namespace) {
                ("", Some(namespace)) => within(namespace, || {
                    delete_link(&mut Socket::open(Family::Route)?, &interface.name)
                }),
                ("", None) => Ok(()),
                (name, _) => delete_link(&mut self.socket(), name),
            };
            if let Err(error) = deleted {
                tracing::warn!(%error, "an interface could not be taken away");
            }
        }
        segment.release(endpoint);
    }

    /// Deletes those links of a namespace, on links of another one, whose name and
    /// addresses are of this kind.
    pub(crate) fn delete_links_with(
        &self,
        namespace: &OwnedFd,
        stranger: impl Fn(&str, &[IpAddr]) -> bool + Send + Sync,
    ) -> Result<(), Error> {
        within(namespace, || {
            let mut inside = Socket::open(Family::Route)?;
            let links = route::links_abroad(&mut inside, &["macvlan", "ipvlan"])?;
            let addresses = match links.is_empty() {
                true => Vec::new(),
                false => route::addresses(&mut inside)?,
            };
            for link in links {
                let own = addresses.iter().filter(|(index, _)| *index == link.index);
                let own: Vec<IpAddr> = own.map(|(_, address)| address.address()).collect();
                if stranger(&link.name, &own) {
                    delete_link(&mut inside, &link.name)?;
                }
            }
            Ok(())
        })
    }

    /// Lets the endpoint's container reach itself by the host's address.
    pub(crate) fn hairpin(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let Some(interface) = &endpoint.interface else {
            return Ok(());
        };
        let mut socket = self.socket();
        match route::link_by_name(&mut socket, &interface.host_name)? {
            Some(link) => socket.apply(vec![route::hairpin(link.index, &interface.host_name)]),
            None => Ok(()),
        }
    }

    /// One endpoint, made from a thread inside the namespace; without its default
    /// route. With `fresh`, there is no other interface yet.
    fn place(
        &self,
        inside: &mut Socket,
        segment: &Segment,
        request: &EndpointRequest,
        fresh: bool,
    ) -> Result<Endpoint, Error> {
        let here = gantry_sys::netns::current().map_err(|errno| namespace_error("open", errno))?;
        let name = match request.interface.as_str() {
            "" if fresh => format!("{}0", segment.prefix),
            "" => free_name(inside, &segment.prefix)?,
            wished => wished.to_owned(),
        };
        // Ours are short, and free.
        if !request.interface.is_empty() || segment.prefix != "eth" {
            endpoint_settings::check_name(inside, &name)?;
        }
        let mut endpoint = segment.reserve(&mut self.socket(), request)?;
        let made = self.furnish(inside, segment, request, &mut endpoint, &here, &name);
        match made {
            Ok(()) => Ok(endpoint),
            Err(error) => {
                self.unplug(segment, &endpoint, Some(&here));
                Err(error)
            }
        }
    }

    fn furnish(
        &self,
        inside: &mut Socket,
        segment: &Segment,
        request: &EndpointRequest,
        endpoint: &mut Endpoint,
        here: &OwnedFd,
        name: &str,
    ) -> Result<(), Error> {
        segment.connect(&mut self.socket(), endpoint, here, name, request.mac)?;
        let Some(link) = route::link_by_name(inside, name)? else {
            return Err(Error::Malformed {
                operation: "look up a new link",
                reason: "it is missing",
            });
        };
        // No IPv6 on a network without it, as in Docker.
        let disabled = match segment.has_ipv6() && !request.no_ipv6 {
            true => "0",
            false => "1",
        };
        sysctl::set_if_possible(&format!("ipv6/conf/{name}/disable_ipv6"), disabled);
        let announces = segment.announces(request.mac);
        if announces && segment.bridge().is_none() {
            announce::prepare(name);
        }
        endpoint_settings::apply(&request.sysctls, name)?;
        let places = [endpoint.ipv4, endpoint.ipv6].into_iter().flatten();
        let further = request.link_local.iter().filter_map(|a| link_local(*a));
        let mut requests: Vec<_> = places
            .map(|place| place.address)
            .chain(further)
            .map(|address| route::add_address(link.index, address, name))
            .collect();
        requests.push(route::set_up(link.index, name));
        inside.apply(requests)?;
        self.wait_until_forwarding(segment, endpoint)?;
        if announces && let (Some(mac), Some(_)) = (link.mac, segment.bridge()) {
            announce::now(inside, link.index, mac, name)?;
        }
        Ok(())
    }

    /// Waits until the network carries the packets of a new interface. Without this, a
    /// container's first packets may be lost, and TCP waits a second before it tries again.
    fn wait_until_forwarding(&self, segment: &Segment, endpoint: &Endpoint) -> Result<(), Error> {
        let Some(interface) = &endpoint.interface else {
            return Ok(());
        };
        let begin = Instant::now();
        loop {
            let carries = segment.driver.carries(&mut self.socket(), interface)?;
            if carries || begin.elapsed() > FORWARDING_LIMIT {
                return Ok(());
            }
            std::thread::sleep(FORWARDING_STEP);
        }
    }
}

/// Deletes a link, if it is there.
pub(crate) fn delete_link(socket: &mut Socket, name: &str) -> Result<(), Error> {
    match route::link_by_name(socket, name)? {
        Some(link) => tolerate_gone(socket.apply(vec![route::delete_link(link.index, name)])),
        None => Ok(()),
    }
}

/// What every namespace gets: what Docker lets every container do (bind low ports
/// and send pings without a capability), and loopback.
fn prepare(inside: &mut Socket) -> Result<(), Error> {
    sysctl::set_if_possible("ipv4/ip_unprivileged_port_start", "0");
    sysctl::set_if_possible("ipv4/ping_group_range", "0 2147483647");
    inside.apply(vec![route::set_up(LOOPBACK, "lo")])
}

/// The first name of that kind which no interface has.
fn free_name(inside: &mut Socket, prefix: &str) -> Result<String, Error> {
    for number in 0..INTERFACES {
        let name = format!("{prefix}{number}");
        if route::link_by_name(inside, &name)?.is_none() {
            return Ok(name);
        }
    }
    Err(Error::Malformed {
        operation: "name an interface",
        reason: "every name is taken",
    })
}

/// Default routes of IPv4 and of IPv6 by an endpoint each; by none, there is none.
fn set_gateways(inside: &mut Socket, gateways: [Option<&Endpoint>; 2]) -> Result<(), Error> {
    for (endpoint, ipv4) in gateways.into_iter().zip([true, false]) {
        let interface = endpoint.and_then(|endpoint| endpoint.interface.as_ref());
        let place = endpoint.and_then(|endpoint| endpoint.place(ipv4));
        if let (Some(interface), Some(gateway)) = (interface, place.and_then(|p| p.gateway))
            && let Some(link) = route::link_by_name(inside, &interface.name)?
        {
            inside.apply(vec![route::set_default_route(link.index, gateway)])?;
            continue;
        }
        match inside.apply(vec![route::delete_default_route(ipv4)]) {
            Err(error)
                if !matches!(
                    error.errno(),
                    Some(libc::ESRCH | libc::ENOENT | libc::EAFNOSUPPORT)
                ) =>
            {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

/// A further address, with the prefix of the links' own range.
fn link_local(address: IpAddr) -> Option<IpCidr> {
    IpCidr::new(address, if address.is_ipv4() { 16 } else { 64 })
}

/// Runs work in a thread inside a namespace.
pub(crate) fn within<T: Send>(
    namespace: impl AsFd,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    gantry_sys::netns::enter(namespace, work).map_err(|errno| namespace_error("enter", errno))?
}

fn in_new_namespace(work: impl FnOnce() -> Result<(), Error> + Send) -> Result<OwnedFd, Error> {
    let (netns, done) =
        gantry_sys::netns::create_and(work).map_err(|errno| namespace_error("create", errno))?;
    done.map(|()| netns)
}

fn namespace_error(operation: &'static str, errno: rustix::io::Errno) -> Error {
    Error::System {
        operation,
        object: "a network namespace".to_owned(),
        source: errno.into(),
    }
}

pub(crate) fn tolerate_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.errno() == Some(libc::ENODEV) => Ok(()),
        other => other,
    }
}

/// A new name for the host's end of the pair to `address`: `veth`, the address
/// in hexadecimal, three random digits (the former one may still be dying).
pub(crate) fn link_name(address: Ipv4Addr) -> Result<String, Error> {
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
