//! A network at work: its addresses, and its driver, which connects namespaces.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;

use crate::announce;
use crate::attachment::{Endpoint, EndpointRequest, MacAddress, Place};
use crate::bridge::Bridge;
use crate::definition::{self, Definition, GatewayMode, Subnet};
use crate::drivers::{NetworkDriver, Plug};
use crate::error::Error;
use crate::firewall::Member;
use crate::ip_cidr::{IpCidr, octets};
use crate::ipam::{Addresses, Taken};
use crate::netlink::Socket;
use crate::netlink::route;
use crate::random;
use crate::sandbox::{lock, tolerate_gone};
use crate::seen::Seen;

/// A network. All work on the host is done through the socket that is handed in,
/// which is the host's.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) driver: Box<dyn NetworkDriver>,
    ranges: Vec<Range>,
    /// Of IPv4 and of IPv6.
    modes: [GatewayMode; 2],
    icc: bool,
    masquerade: bool,
    /// The addresses that packets get which leave it, of IPv4 and of IPv6.
    host_addresses: [Option<IpAddr>; 2],
    trusted: Vec<String>,
    pub(crate) internal: bool,
    /// Whether containers announce their addresses, if that is said.
    announces: Option<bool>,
    /// What the names of interfaces inside begin with.
    pub(crate) prefix: String,
    /// The host's address of published ports that name none.
    pub(crate) host_binding: Option<IpAddr>,
}

/// One subnet.
#[derive(Debug)]
struct Range {
    gateway: IpCidr,
    /// Where containers send what is for others; unspecified for onto the link.
    way_out: Option<IpAddr>,
    addresses: Mutex<Addresses>,
}

impl Range {
    fn new(subnet: Subnet) -> Self {
        let mut reserved = subnet.auxiliary;
        if subnet.reserved {
            reserved.push(subnet.gateway.address());
        }
        Self {
            gateway: subnet.gateway,
            way_out: subnet.way_out,
            addresses: Mutex::new(Addresses::new(subnet.gateway, subnet.range, &reserved)),
        }
    }
}

impl Segment {
    /// A network of a driver. Addresses of links that are there already are not
    /// handed out while these exist.
    pub(crate) fn new(
        seen: &Seen,
        definition: &Definition,
        driver: Box<dyn NetworkDriver>,
    ) -> Result<Self, Error> {
        let subnets = definition.subnets_in_use().into_iter();
        let ranges: Vec<Range> = subnets.map(Range::new).collect();
        for (address, link) in &seen.ports {
            for range in &ranges {
                lock(&range.addresses).found_link((*address).into(), link.name.clone());
            }
        }
        Ok(Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            driver,
            ranges,
            modes: [
                definition.gateway_mode(true)?,
                definition.gateway_mode(false)?,
            ],
            icc: definition.flag(definition::ICC, true)?,
            masquerade: definition.flag(definition::MASQUERADE, true)?,
            host_addresses: [
                definition.host_address(true)?,
                definition.host_address(false)?,
            ],
            trusted: definition.trusted()?,
            announces: announce::wanted(definition)?,
            internal: definition.internal,
            prefix: definition
                .options
                .get(definition::INTERFACE_PREFIX)
                .filter(|prefix| !prefix.is_empty())
                .map_or_else(|| "eth".to_owned(), Clone::clone),
            host_binding: definition.host_binding()?,
        })
    }

    /// Its bridge, if it has one on this host.
    pub(crate) fn bridge(&self) -> Option<&Bridge> {
        self.driver.bridge()
    }

    /// The network as the firewall sees it; without a bridge, it does not.
    pub(crate) fn members(&self) -> Vec<Member> {
        let Some(bridge) = self.bridge() else {
            return Vec::new();
        };
        let member = |range: &Range| Member {
            bridge: bridge.name.clone(),
            subnet: range.gateway.network(),
            masquerade: self.masquerade,
            icc: self.icc,
            internal: self.internal,
            mode: self.mode(range.gateway.is_ipv4()),
            host_address: self.host_addresses[usize::from(!range.gateway.is_ipv4())],
            trusted: self.trusted.clone(),
        };
        self.ranges.iter().map(member).collect()
    }

    /// How packets of a family get in and out.
    pub(crate) fn mode(&self, ipv4: bool) -> GatewayMode {
        self.modes[usize::from(!ipv4)]
    }

    /// Whether its containers reach each other.
    pub(crate) fn has_icc(&self) -> bool {
        self.icc
    }

    /// Whether some interfaces of the host lead to published ports at the containers' own
    /// addresses.
    pub(crate) fn trusts_somebody(&self) -> bool {
        !self.trusted.is_empty()
    }

    /// Whether it has IPv6.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.ranges.iter().any(|range| !range.gateway.is_ipv4())
    }

    /// Whether an interface with a certain Ethernet address, or one of our choice,
    /// announces its addresses.
    pub(crate) fn announces(&self, wished: Option<MacAddress>) -> bool {
        // Others in a link's network may know the address by another interface.
        let news = wished.is_some() || self.bridge().is_none();
        self.announces.unwrap_or(news)
    }

    /// Whether an address is one of its subnets'.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.ranges
            .iter()
            .any(|range| range.gateway.contains(address))
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
        endpoint.ipv4 = self.place(socket, true, request.ipv4.map(IpAddr::V4))?;
        if request.no_ipv6 {
            return Ok(endpoint);
        }
        match self.place(socket, false, request.ipv6.map(IpAddr::V6)) {
            Ok(place) => endpoint.ipv6 = place,
            Err(error) => {
                self.release(&endpoint);
                return Err(error);
            }
        }
        Ok(endpoint)
    }

    /// An address of a family, from the first subnet that has one left; `None` where the
    /// network does not have the family.
    fn place(
        &self,
        socket: &mut Socket,
        ipv4: bool,
        wish: Option<IpAddr>,
    ) -> Result<Option<Place>, Error> {
        let mut refused = None;
        for range in self.ranges.iter().filter(|r| r.gateway.is_ipv4() == ipv4) {
            if wish.is_some_and(|address| !range.gateway.contains(address)) {
                refused.get_or_insert(Error::AddressInUse);
                continue;
            }
            match self.take(socket, range, wish) {
                Ok(address) => {
                    return Ok(Some(Place {
                        address: range.gateway.with_address(address),
                        gateway: range.way_out,
                    }));
                }
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    fn take(
        &self,
        socket: &mut Socket,
        range: &Range,
        wish: Option<IpAddr>,
    ) -> Result<IpAddr, Error> {
        let pool = &range.addresses;
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
                        return Err(Error::AddressesExhausted {
                            network: self.name.clone(),
                            id: self.id.clone(),
                            ipv4: range.gateway.is_ipv4(),
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

    /// The addresses of an endpoint, each with those it is taken from.
    fn taken(&self, endpoint: &Endpoint) -> impl Iterator<Item = (IpAddr, &Mutex<Addresses>)> {
        endpoint.addresses().into_iter().flat_map(|address| {
            let of = self
                .ranges
                .iter()
                .filter(move |r| r.gateway.contains(address));
            of.map(move |range| (address, &range.addresses))
        })
    }

    /// Gives an endpoint's addresses back; they are free when its link is gone.
    pub(crate) fn release(&self, endpoint: &Endpoint) {
        let link = endpoint.interface.as_ref();
        let link = link.map_or_else(String::new, |i| i.host_name.clone());
        for (address, pool) in self.taken(endpoint) {
            lock(pool).release(address, link.clone());
        }
    }

    /// Marks the addresses of a live container used; or says which one was already.
    pub(crate) fn claim(&self, endpoint: &Endpoint) -> Result<(), IpAddr> {
        for (address, pool) in self.taken(endpoint) {
            if !lock(pool).claim(address) {
                return Err(address);
            }
        }
        Ok(())
    }

    /// Makes the interface of an endpoint, which gets `name`.
    pub(crate) fn connect(
        &self,
        socket: &mut Socket,
        endpoint: &mut Endpoint,
        namespace: &OwnedFd,
        name: &str,
        mac: Option<MacAddress>,
    ) -> Result<(), Error> {
        let address = endpoint.addresses().first().copied();
        let plug = Plug {
            namespace: namespace.as_fd(),
            name,
            mac,
            tag: tag(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
        };
        endpoint.interface = Some(self.driver.plug(socket, &plug)?);
        Ok(())
    }

    /// Whether an endpoint that was made a while ago is still connected.
    pub(crate) fn is_connected(&self, socket: &mut Socket, endpoint: &Endpoint) -> bool {
        let interface = endpoint.interface.as_ref();
        interface.is_some_and(|interface| self.driver.is_plugged(socket, interface))
    }

    /// Deletes links that claim to be of this network and of no living container.
    pub(crate) fn delete_other_links(
        &self,
        socket: &mut Socket,
        seen: &Seen,
        living: &[&str],
    ) -> Result<(), Error> {
        let Some(bridge) = self.bridge() else {
            return Ok(());
        };
        for (_, link) in &seen.ports {
            if link.controller == bridge.index() && !living.contains(&link.name.as_str()) {
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
