//! The rtnetlink requests that change what networks need: links, addresses and routes.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

pub(crate) use super::listed::{
    addresses, link_by_index, link_by_name, links_abroad, ports, routes, uplink, veth_links,
};
use super::message::{Message, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use super::socket::About;
use crate::attachment::MacAddress;
use crate::ip_cidr::{IpCidr, octets};

pub(super) const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;

pub(super) const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MTU: u16 = 4;
pub(super) const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_NET_NS_FD: u16 = 28;
pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const VETH_INFO_PEER: u16 = 1;

pub(super) const IFA_ADDRESS: u16 = 1;
pub(super) const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// The address is not looked for elsewhere before it is used: we know that it is free.
const IFA_F_NODAD: u8 = 2;

pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
pub(super) const RTA_PRIORITY: u16 = 6;
pub(super) const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
/// For a deletion: any.
const RT_SCOPE_NOWHERE: u8 = 255;
pub(super) const RTN_UNICAST: u8 = 1;

pub(super) const IFF_UP: u32 = 1;
pub(super) const AF_INET: u8 = libc::AF_INET as u8;
const AF_INET6: u8 = libc::AF_INET6 as u8;
const AF_BRIDGE: u8 = 7;

/// A request with what it is about.
pub(crate) type Request<'a> = (About<'a>, Message);

/// A network interface, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Such as `bridge`; empty for physical ones.
    pub(crate) kind: String,
    /// The bridge it is a port of; 0 for none.
    pub(crate) controller: u32,
    /// Whether the kernel has noticed that the other end is up, too: only then
    /// does a bridge forward through it.
    pub(crate) operational: bool,
    /// Whether the link that it is on is in another namespace.
    pub(crate) is_abroad: bool,
    pub(crate) mtu: u32,
    /// Its Ethernet address, if it has one.
    pub(crate) mac: Option<MacAddress>,
}

/// The two ends of a veth pair.
#[derive(Debug)]
pub(crate) struct VethPair<'a> {
    pub(crate) host_name: &'a str,
    pub(crate) bridge: u32,
    pub(crate) inside_name: &'a str,
    pub(crate) inside_mac: MacAddress,
    pub(crate) inside_namespace: BorrowedFd<'a>,
    pub(crate) mtu: u32,
}

pub(super) fn ifinfo(family: u8, index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&change.to_ne_bytes());
    header
}

/// Creates a bridge with a fixed Ethernet address (so that it does not change
/// with its ports), and brings it up.
///
/// It does not look into multicast, which costs each new port a look at all others:
/// with nobody who asks for groups it goes to all ports anyway.
pub(crate) fn add_bridge<'a>(name: &'a str, mac: MacAddress, mtu: u32) -> Request<'a> {
    let message = Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)
        .raw(&ifinfo(0, 0, IFF_UP, IFF_UP))
        .string(IFLA_IFNAME, name)
        .attribute(IFLA_ADDRESS, &mac.0)
        .u32(IFLA_MTU, mtu)
        .nested(IFLA_LINKINFO, |m| {
            m.string(IFLA_INFO_KIND, "bridge")
                .nested(IFLA_INFO_DATA, |m| {
                    m.attribute(IFLA_BR_MCAST_SNOOPING, &[0])
                })
        });
    (
        About {
            operation: "create bridge",
            object: name,
        },
        message,
    )
}

/// Creates a veth pair in one message: this end is a port of the bridge, the other
/// end is in its namespace, named and with its Ethernet address. Both are down.
pub(crate) fn add_veth<'a>(pair: &VethPair<'a>) -> Request<'a> {
    let message = Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)
        .raw(&ifinfo(0, 0, 0, 0))
        .string(IFLA_IFNAME, pair.host_name)
        .u32(IFLA_MTU, pair.mtu)
        .u32(IFLA_MASTER, pair.bridge)
        .nested(IFLA_LINKINFO, |m| {
            m.string(IFLA_INFO_KIND, "veth")
                .nested(IFLA_INFO_DATA, |m| {
                    m.nested(VETH_INFO_PEER, |m| {
                        m.raw(&ifinfo(0, 0, 0, 0))
                            .string(IFLA_IFNAME, pair.inside_name)
                            .attribute(IFLA_ADDRESS, &pair.inside_mac.0)
                            .u32(IFLA_MTU, pair.mtu)
                            .u32(IFLA_NET_NS_FD, pair.inside_namespace.as_raw_fd() as u32)
                    })
                })
        });
    (
        About {
            operation: "create veth",
            object: pair.host_name,
        },
        message,
    )
}

/// Brings the port of a bridge up, without an IPv6 address of its own, which would be
/// announced and routed for nobody. Refused by a kernel without IPv6.
pub(crate) fn set_port_up(name: &str) -> Request<'_> {
    let message = Message::new(RTM_SETLINK, 0)
        .raw(&ifinfo(0, 0, IFF_UP, IFF_UP))
        .string(IFLA_IFNAME, name)
        .nested(IFLA_AF_SPEC, |m| {
            m.nested(u16::from(AF_INET6), |m| {
                m.attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE])
            })
        });
    (
        About {
            operation: "bring up",
            object: name,
        },
        message,
    )
}

/// Brings a link up.
pub(crate) fn set_up(index: u32, name: &str) -> Request<'_> {
    let message = Message::new(RTM_SETLINK, 0).raw(&ifinfo(0, index, IFF_UP, IFF_UP));
    (
        About {
            operation: "bring up",
            object: name,
        },
        message,
    )
}

/// Makes a link a port of a bridge.
pub(crate) fn set_bridge(index: u32, bridge: u32, name: &str) -> Request<'_> {
    let message = Message::new(RTM_SETLINK, 0)
        .raw(&ifinfo(0, index, 0, 0))
        .u32(IFLA_MASTER, bridge);
    (
        About {
            operation: "add to the bridge",
            object: name,
        },
        message,
    )
}

/// Sets a link's MTU.
pub(crate) fn set_mtu(index: u32, mtu: u32, name: &str) -> Request<'_> {
    let message = Message::new(RTM_SETLINK, 0)
        .raw(&ifinfo(0, index, 0, 0))
        .u32(IFLA_MTU, mtu);
    (
        About {
            operation: "set the MTU of",
            object: name,
        },
        message,
    )
}

/// Sets a link's Ethernet address.
pub(crate) fn set_mac(index: u32, mac: MacAddress, name: &str) -> Request<'_> {
    let message = Message::new(RTM_SETLINK, 0)
        .raw(&ifinfo(0, index, 0, 0))
        .attribute(IFLA_ADDRESS, &mac.0);
    (
        About {
            operation: "set the Ethernet address of",
            object: name,
        },
        message,
    )
}

/// Lets a bridge send a packet back through the port that it came by, which
/// happens when its destination was changed on the way.
pub(crate) fn hairpin(index: u32, name: &str) -> Request<'_> {
    let message = Message::new(RTM_SETLINK, 0)
        .raw(&ifinfo(AF_BRIDGE, index, 0, 0))
        .nested(IFLA_PROTINFO, |m| m.attribute(IFLA_BRPORT_MODE, &[1]));
    (
        About {
            operation: "set hairpin mode of",
            object: name,
        },
        message,
    )
}

/// Keeps a bridge port from talking to other ports so marked.
pub(crate) fn isolate_port(index: u32, name: &str) -> Request<'_> {
    let message = Message::new(RTM_SETLINK, 0)
        .raw(&ifinfo(AF_BRIDGE, index, 0, 0))
        .nested(IFLA_PROTINFO, |m| m.attribute(IFLA_BRPORT_ISOLATED, &[1]));
    (
        About {
            operation: "isolate bridge port",
            object: name,
        },
        message,
    )
}

/// Deletes a link.
pub(crate) fn delete_link(index: u32, name: &str) -> Request<'_> {
    let message = Message::new(RTM_DELLINK, 0).raw(&ifinfo(0, index, 0, 0));
    (
        About {
            operation: "delete link",
            object: name,
        },
        message,
    )
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn address_message(kind: u16, flags: u16, index: u32, address: IpCidr) -> Message {
    let mut header = [0; 8];
    header[0] = family(address.address());
    header[1] = address.prefix();
    if !address.is_ipv4() {
        header[2] = IFA_F_NODAD;
    }
    header[4..].copy_from_slice(&index.to_ne_bytes());
    let bytes = octets(address.address());
    Message::new(kind, flags)
        .raw(&header)
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_ADDRESS, &bytes)
}

/// Gives a link an address; of IPv4, with the subnet's broadcast address.
pub(crate) fn add_address(index: u32, address: IpCidr, name: &str) -> Request<'_> {
    let message = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, address);
    let message = match address.to_ipv4() {
        Some(four) if four.prefix() < 31 => {
            message.attribute(IFA_BROADCAST, &four.broadcast().octets())
        }
        _ => message,
    };
    (
        About {
            operation: "add an address to",
            object: name,
        },
        message,
    )
}

/// Takes an address from a link.
pub(crate) fn delete_address(index: u32, address: IpCidr, name: &str) -> Request<'_> {
    let message = address_message(RTM_DELADDR, 0, index, address);
    (
        About {
            operation: "delete an address from",
            object: name,
        },
        message,
    )
}

fn default_route(kind: u16, flags: u16, family: u8, scope: u8) -> Message {
    let header = [
        family,
        0,
        0,
        0,
        RT_TABLE_MAIN,
        RTPROT_BOOT,
        scope,
        RTN_UNICAST,
        0,
        0,
        0,
        0,
    ];
    Message::new(kind, flags).raw(&header)
}

const DEFAULT_ROUTE: &str = "the default route";

/// Sets the default route of the gateway's family, in the place of one that is there.
/// An unspecified gateway means everybody is on the link.
pub(crate) fn set_default_route(index: u32, gateway: IpAddr) -> Request<'static> {
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    let scope = if gateway.is_unspecified() {
        RT_SCOPE_LINK
    } else {
        RT_SCOPE_UNIVERSE
    };
    let message = default_route(RTM_NEWROUTE, flags, family(gateway), scope);
    let message = match gateway.is_unspecified() {
        true => message,
        false => message.attribute(RTA_GATEWAY, &octets(gateway)),
    };
    let message = message.u32(RTA_OIF, index);
    (
        About {
            operation: "set",
            object: DEFAULT_ROUTE,
        },
        message,
    )
}

/// Deletes the default route of a family.
pub(crate) fn delete_default_route(ipv4: bool) -> Request<'static> {
    let family = if ipv4 { AF_INET } else { AF_INET6 };
    (
        About {
            operation: "delete",
            object: DEFAULT_ROUTE,
        },
        default_route(RTM_DELROUTE, 0, family, RT_SCOPE_NOWHERE),
    )
}
