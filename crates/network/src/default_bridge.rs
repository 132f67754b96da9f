//! The bridge of the default network, and its addresses: what the daemon's options
//! name, what it has, what it had, and only then what is free.

use std::net::IpAddr;

use crate::bridge::{Bridge, check_name, existing, make};
use crate::cidr::Ipv4Cidr;
use crate::config::{BridgeChoice, NetworkConfig};
use crate::error::Error;
use crate::ip_cidr::IpCidr;
use crate::netlink::Socket;
use crate::netlink::route::{self, Link};
use crate::seen::Seen;
use crate::subnet;

/// Makes or adopts it. `remembered` is the IPv4 address of the last time, and `seed`
/// makes our own range of IPv6 addresses. `None` if there shall be no such network.
pub(crate) fn open(
    socket: &mut Socket,
    seen: &Seen,
    config: &NetworkConfig,
    remembered: Option<Ipv4Cidr>,
    seed: &str,
) -> Result<Option<Bridge>, Error> {
    let (name, own) = match &config.bridge {
        BridgeChoice::Disabled => return Ok(None),
        BridgeChoice::Own(name) => (name, true),
        BridgeChoice::Existing(name) => (name, false),
    };
    check_name("bridge", name)?;
    let link = match own {
        true => make(socket, name, config.mtu, None)?,
        false => existing(socket, name)?,
    };
    let current = seen.addresses_of(link.index);
    let mut addresses = vec![match own {
        true => own_ipv4(socket, seen, config, &link, remembered)?.into(),
        false => foreign(name, current, true)?,
    }];
    if config.ipv6 {
        addresses.push(match own {
            true => own_ipv6(socket, seen, config, &link, seed)?,
            false => foreign(name, current, false)?,
        });
    }
    check_within(config, &addresses)?;
    Bridge::with_addresses(socket, seen, &link, addresses, own, config.mtu).map(Some)
}

/// In this order: `bip`; `fixed-cidr`; what the bridge has; what it had; the first free
/// subnet.
fn own_ipv4(
    socket: &mut Socket,
    seen: &Seen,
    config: &NetworkConfig,
    link: &Link,
    remembered: Option<Ipv4Cidr>,
) -> Result<Ipv4Cidr, Error> {
    let current = seen.addresses_of(link.index);
    let current: Vec<Ipv4Cidr> = current.iter().filter_map(IpCidr::to_ipv4).collect();
    let fixed = config.fixed_cidr.filter(|_| config.bip.is_none());
    // A part of what it has already is no reason to change that.
    let fixed = fixed.filter(|range| !current.iter().any(|c| IpCidr::from(*c).encloses(range)));
    let named = config
        .bip
        .or(fixed.and_then(|range| first_host(range).to_ipv4()));
    if let Some(address) = named {
        if !current.is_empty() && !current.contains(&address) {
            refuse_with_ports(socket, link, address)?;
        }
        return Ok(address);
    }
    let usable = |address: &Ipv4Cidr| address.hosts().contains(&address.address().to_bits());
    if let Some(address) = current.iter().copied().find(usable) {
        return Ok(address);
    }
    let taken = seen.subnets(socket, link.index)?;
    if let Some(address) = remembered.filter(usable) {
        if !taken.iter().any(|other| other.overlaps(&address.into())) {
            return Ok(address);
        }
        tracing::warn!(%address, "the bridge's subnet is used by the host now; another is chosen");
    }
    let chosen = subnet::choose(&config.pools(), true, &taken)?;
    chosen.to_ipv4().ok_or(Error::NoFreeSubnet)
}

/// In this order: `bip6`; `fixed-cidr-v6`; what the bridge has; the first free subnet.
fn own_ipv6(
    socket: &mut Socket,
    seen: &Seen,
    config: &NetworkConfig,
    link: &Link,
    seed: &str,
) -> Result<IpCidr, Error> {
    if let Some(address) = config.bip6.or(config.fixed_cidr_v6.map(first_host)) {
        return Ok(address);
    }
    let current = seen.addresses_of(link.index);
    if let Some(address) = current.iter().find(|address| !address.is_ipv4()) {
        return Ok(*address);
    }
    let taken = seen.subnets(socket, link.index)?;
    subnet::choose_any_ipv6(&config.pools(), seed, &taken)
}

/// The first address of a subnet, which its bridge gets.
fn first_host(subnet: IpCidr) -> IpCidr {
    subnet.with_address(subnet.at(*subnet.hosts().start()))
}

/// What is handed out, and other ways out, are of the bridge's own subnets.
fn check_within(config: &NetworkConfig, addresses: &[IpCidr]) -> Result<(), Error> {
    let outside = |option: &str, what: String| {
        Err(Error::InvalidOption {
            option: option.to_owned(),
            reason: format!("{what} is not of the bridge's subnet"),
        })
    };
    let ranges = [
        ("fixed-cidr", config.fixed_cidr),
        ("fixed-cidr-v6", config.fixed_cidr_v6),
    ];
    for (option, range) in ranges {
        if let Some(range) = range
            && !addresses.iter().any(|address| address.encloses(&range))
        {
            return outside(option, range.to_string());
        }
    }
    let gateways = [("default-gateway", true), ("default-gateway-v6", false)];
    for (option, ipv4) in gateways {
        if let Some(gateway) = config.default_gateway(ipv4)
            && !addresses.iter().any(|address| address.contains(gateway))
        {
            return outside(option, gateway.to_string());
        }
    }
    Ok(())
}

/// Changing the subnet under living containers would cut them off.
fn refuse_with_ports(socket: &mut Socket, link: &Link, address: Ipv4Cidr) -> Result<(), Error> {
    let ports = route::ports(socket, link.index)?.len();
    if ports == 0 {
        return Ok(());
    }
    Err(Error::Bridge {
        name: link.name.clone(),
        reason: format!("its address cannot become {address}: {ports} containers are connected"),
    })
}

fn foreign(name: &str, current: &[IpCidr], ipv4: bool) -> Result<IpCidr, Error> {
    let found = current.iter().find(|address| address.is_ipv4() == ipv4);
    found.copied().ok_or_else(|| Error::Bridge {
        name: name.to_owned(),
        reason: format!("it has no IPv{} address", if ipv4 { 4 } else { 6 }),
    })
}

/// The MTU of the link that leads to the world, if there is one.
pub(crate) fn mtu_of_uplink(socket: &mut Socket) -> Result<Option<u32>, Error> {
    let Some(index) = route::uplink(socket)? else {
        return Ok(None);
    };
    let link = route::link_by_index(socket, index)?;
    Ok(link.map(|link| link.mtu).filter(|mtu| *mtu >= 68))
}

/// The keys of other ways out among the auxiliary addresses of a subnet, as Docker has
/// them.
pub(crate) fn other_gateway(config: &NetworkConfig, ipv4: bool) -> Option<(&'static str, IpAddr)> {
    let key = crate::definition::OTHER_GATEWAY[usize::from(!ipv4)];
    config.default_gateway(ipv4).map(|gateway| (key, gateway))
}
