//! The host's addresses and our veth links at one moment: looked at once for all
//! networks, since the kernel lists all of them to whoever asks for one network's.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::error::Error;
use crate::ip_cidr::IpCidr;
use crate::netlink::Socket;
use crate::netlink::route::{self, Link};
use crate::sandbox::address_of_link;

/// What was there.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Outer ends of veth pairs, with the address that their names carry.
    pub(crate) ports: Vec<(Ipv4Addr, Link)>,
    addresses: HashMap<u32, Vec<IpCidr>>,
}

impl Seen {
    /// Looks at the namespace of the socket.
    pub(crate) fn look(socket: &mut Socket) -> Result<Self, Error> {
        let port = |link: Link| address_of_link(&link.name).map(|address| (address, link));
        let mut addresses: HashMap<u32, Vec<IpCidr>> = HashMap::new();
        for (index, address) in route::addresses(socket)? {
            addresses.entry(index).or_default().push(address);
        }
        Ok(Self {
            ports: route::veth_links(socket)?
                .into_iter()
                .filter_map(port)
                .collect(),
            addresses,
        })
    }

    /// The subnets of all addresses and routes but those of the link `but`; no link has
    /// the number zero.
    pub(crate) fn subnets(&self, socket: &mut Socket, but: u32) -> Result<Vec<IpCidr>, Error> {
        let routes = route::routes(socket)?;
        let others = self.addresses.iter().filter(|(link, _)| **link != but);
        let addresses = others.flat_map(|(_, own)| own.iter().copied());
        let routes = routes.into_iter().filter(|(link, _)| *link != but);
        Ok(addresses.chain(routes.map(|(_, subnet)| subnet)).collect())
    }

    /// The addresses of a link.
    pub(crate) fn addresses_of(&self, index: u32) -> &[IpCidr] {
        self.addresses.get(&index).map_or(&[], Vec::as_slice)
    }
}
