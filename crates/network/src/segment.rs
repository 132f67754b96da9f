//! A bridge network at work: its bridge, its addresses, and what connects
//! namespaces to it.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;

use crate::attachment::{Endpoint, EndpointRequest, Interface, MacAddress, Place};
use crate::bridge::Bridge;
use crate::definition::{self, Definition};
use crate::error::Error;
use crate::firewall::Member;
use crate::ip_cidr::{IpCidr, octets};
use crate::ipam::{Addresses, Taken};
use crate::netlink::Socket;
use crate::netlink::route::{self, VethPair};
use crate::random;
use crate::sandbox::{address_of_link, link_name, lock, tolerate_gone};

/// How often a random name that is taken is drawn again.
const NAME_ATTEMPTS: usize = 16;

/// A bridge network. All work on the host is done through the socket that is
/// handed in, which is the host's.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) bridge: Bridge,
    /// One for each subnet.
    pools: Vec<(IpCidr, Mutex<Addresses>)>,
    mtu: u32,
    icc: bool,
    masquerade: bool,
    pub(crate) internal: bool,
    /// What the names of interfaces inside begin with.
    pub(crate) prefix: String,
    /// The host's address of published ports that name none.
    pub(crate) host_binding: Option<IpAddr>,
}

impl Segment {
    /// A network on its bridge. Addresses of links that are there already are not
    /// handed out while these exist.
    pub(crate) fn new(
        socket: &mut Socket,
        definition: &Definition,
        bridge: Bridge,
        mtu: u32,
    ) -> Result<Self, Error> {
        let mut pools = Vec::new();
        for subnet in definition.subnets_in_use() {
            let mut reserved = subnet.auxiliary;
            reserved.push(subnet.gateway.address());
            let addresses = Addresses::new(subnet.gateway, subnet.range, &reserved);
            pools.push((subnet.gateway, Mutex::new(addresses)));
        }
        for link in route::links(socket)? {
            let Some(address) = address_of_link(&link.name) else {
                continue;
            };
            for (_, pool) in &pools {
                lock(pool).found_link(address.into(), link.name.clone());
            }
        }
        Ok(Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            bridge,
            pools,
            mtu: definition.mtu(mtu)?,
            icc: definition.flag(definition::ICC, true)?,
            masquerade: definition.flag(definition::MASQUERADE, true)?,
            internal: definition.internal,
            prefix: definition
                .options
                .get(definition::INTERFACE_PREFIX)
                .filter(|prefix| !prefix.is_empty() && prefix.len() < 10)
                .map_or_else(|| "eth".to_owned(), Clone::clone),
            host_binding: definition.host_binding()?,
        })
    }

    /// The network as the firewall sees it.
    pub(crate) fn members(&self) -> Vec<Member> {
        let member = |(gateway, _): &(IpCidr, _)| Member {
            bridge: self.bridge.name.clone(),
            subnet: gateway.network(),
            masquerade: self.masquerade,
            icc: self.icc,
            internal: self.internal,
        };
        self.pools.iter().map(member).collect()
    }

    /// Whether it has IPv6.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.pools.iter().any(|(gateway, _)| !gateway.is_ipv4())
    }

    /// Takes addresses for a new endpoint; it has no interface yet.
    ///
    /// Fails with `AddressesExhausted`, or `AddressInUse` for a wished one.
    pub(crate) fn reserve(
        &self,
        socket: &mut Socket,
        request: &EndpointRequest,
    ) -> Result<Endpoint, Error> {
        let mut endpoint = Endpoint {
            network_id: self.id.clone(),
            network: self.name.clone(),
            endpoint_id: random::id()?,
            ipv4: None,
            ipv6: None,
            interface: None,
            gw_priority: request.gw_priority,
            dns_names: request.dns_names.clone(),
            links: request.links.clone(),
        };
        for (gateway, pool) in &self.pools {
            let wish = match gateway.is_ipv4() {
                true => request.ipv4.map(IpAddr::V4),
                false => request.ipv6.map(IpAddr::V6),
            };
            match self.take(socket, pool, wish) {
                Ok(address) => {
                    let place = Some(Place {
                        address: gateway.with_address(address),
                        gateway: (!self.internal).then(|| gateway.address()),
                    });
                    match gateway.is_ipv4() {
                        true => endpoint.ipv4 = place,
                        false => endpoint.ipv6 = place,
                    }
                }
                Err(error) => {
                    self.release(&endpoint);
                    return Err(error);
                }
            }
        }
        Ok(endpoint)
    }

    fn take(
        &self,
        socket: &mut Socket,
        pool: &Mutex<Addresses>,
        wish: Option<IpAddr>,
    ) -> Result<IpAddr, Error> {
        let (address, link) = match wish {
            Some(address) => {
                let link = lock(pool).take_this(address);
                (address, link.ok_or(Error::AddressInUse)?)
            }
            None => {
                let exists = |name: &str| !matches!(route::link_by_name(socket, name), Ok(None));
                let taken = lock(pool).take(exists);
                match taken {
                    Taken::Free(address) => (address, None),
                    Taken::AfterDeleting(address, link) => (address, Some(link)),
                    Taken::Exhausted => {
                        let subnet = lock(pool).subnet();
                        return Err(Error::AddressesExhausted {
                            network: self.name.clone(),
                            subnet,
                        });
                    }
                }
            }
        };
        if let Some(name) = link
            && let Some(link) = route::link_by_name(socket, &name)?
        {
            tolerate_gone(socket.apply(vec![route::delete_link(link.index, &name)]))?;
        }
        Ok(address)
    }

    /// Gives an endpoint's addresses back; they are free when its link is gone.
    pub(crate) fn release(&self, endpoint: &Endpoint) {
        let link = endpoint.interface.as_ref();
        let link = link.map_or_else(String::new, |i| i.host_name.clone());
        for address in endpoint.addresses() {
            for (_, pool) in self.pools.iter().filter(|(g, _)| g.contains(address)) {
                lock(pool).release(address, link.clone());
            }
        }
    }

    /// Marks the addresses of a live container used; or says which one was already.
    pub(crate) fn claim(&self, endpoint: &Endpoint) -> Result<(), IpAddr> {
        for address in endpoint.addresses() {
            for (_, pool) in self.pools.iter().filter(|(g, _)| g.contains(address)) {
                if !lock(pool).claim(address) {
                    return Err(address);
                }
            }
        }
        Ok(())
    }

    /// Makes the veth pair of an endpoint, whose inner end gets `name`; if the
    /// bridge has vanished, makes that again first.
    pub(crate) fn connect(
        &self,
        socket: &mut Socket,
        endpoint: &mut Endpoint,
        namespace: &OwnedFd,
        name: String,
        mac: Option<MacAddress>,
    ) -> Result<(), Error> {
        let address = endpoint.addresses().first().copied();
        let tag = tag(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let mac = mac.unwrap_or_else(|| MacAddress::for_ipv4(tag));
        let mut repaired = false;
        for _ in 0..NAME_ATTEMPTS {
            let host_name = link_name(tag)?;
            let pair = VethPair {
                host_name: &host_name,
                bridge: self.bridge.index(),
                inside_name: &name,
                inside_mac: mac,
                inside_namespace: namespace.as_fd(),
                mtu: self.mtu,
            };
            match socket.apply(vec![route::add_veth(&pair)]) {
                Ok(()) => {
                    self.isolate(socket, &host_name)?;
                    endpoint.interface = Some(Interface {
                        mac,
                        name,
                        host_name,
                    });
                    return Ok(());
                }
                Err(error) if error.errno() == Some(libc::EEXIST) => {}
                Err(error) if error.errno() == Some(libc::EXFULL) => {
                    return Err(Error::Bridge {
                        name: self.bridge.name.clone(),
                        reason: "it has as many ports as the kernel allows (1023)".to_owned(),
                    });
                }
                Err(error) => {
                    let gone = route::link_by_index(socket, self.bridge.index())?.is_none();
                    if repaired || !gone {
                        return Err(error);
                    }
                    repaired = true;
                    self.bridge.repair(socket)?;
                }
            }
        }
        Err(Error::Malformed {
            operation: "create veth",
            reason: "every name is taken",
        })
    }

    fn isolate(&self, socket: &mut Socket, name: &str) -> Result<(), Error> {
        if self.icc {
            return Ok(());
        }
        match route::link_by_name(socket, name)? {
            Some(link) => socket.apply(vec![route::isolate_port(link.index, name)]),
            None => Ok(()),
        }
    }

    /// Puts an endpoint's interface on the bridge, which was made again.
    pub(crate) fn reconnect(&self, socket: &mut Socket, endpoint: &Endpoint) -> Result<(), Error> {
        let Some(interface) = &endpoint.interface else {
            return Ok(());
        };
        let name = &interface.host_name;
        match route::link_by_name(socket, name)? {
            Some(link) if link.controller != self.bridge.index() => {
                let moved = route::set_bridge(link.index, self.bridge.index(), name);
                tolerate_gone(socket.apply(vec![moved]))?;
                self.isolate(socket, name)
            }
            // It is about to vanish with its container.
            None => Ok(()),
            Some(_) => self.isolate(socket, name),
        }
    }

    /// Whether an endpoint that was made a while ago is still on the bridge.
    pub(crate) fn is_connected(&self, socket: &mut Socket, endpoint: &Endpoint) -> bool {
        let Some(interface) = &endpoint.interface else {
            return false;
        };
        let link = route::link_by_name(socket, &interface.host_name);
        matches!(link, Ok(Some(link)) if link.controller == self.bridge.index())
    }

    /// Deletes links that claim to be of this network and of no living container.
    pub(crate) fn delete_other_links(
        &self,
        socket: &mut Socket,
        living: &[&str],
    ) -> Result<(), Error> {
        for link in route::links(socket)? {
            let ours =
                address_of_link(&link.name).is_some() && link.controller == self.bridge.index();
            if ours && !living.contains(&link.name.as_str()) {
                tolerate_gone(socket.apply(vec![route::delete_link(link.index, &link.name)]))?;
            }
        }
        Ok(())
    }
}

/// Four bytes of an address: all of IPv4, the last of IPv6.
fn tag(address: IpAddr) -> Ipv4Addr {
    let bytes = octets(address);
    let last: [u8; 4] = bytes[bytes.len() - 4..].try_into().unwrap_or_default();
    Ipv4Addr::from(last)
}
