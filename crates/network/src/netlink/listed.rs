//! What there is: links, addresses and routes, as the kernel lists them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Answer, Attributes, Message, read_u32};
use super::route::{
    AF_INET, IFA_ADDRESS, IFA_LOCAL, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_MTU, Link, RT_TABLE_MAIN, RTA_DST, RTA_OIF, RTA_PRIORITY, RTN_UNICAST,
    ifinfo,
};
use super::socket::{About, Socket};
use crate::attachment::MacAddress;
use crate::error::Error;
use crate::ip_cidr::IpCidr;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_GETROUTE: u16 = 26;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const RT_TABLE_LOCAL: u8 = 255;
const IF_OPER_UP: u8 = 6;

/// The link of that name; `None` if there is none.
pub(crate) fn link_by_name(socket: &mut Socket, name: &str) -> Result<Option<Link>, Error> {
    let message = Message::new(RTM_GETLINK, 0)
        .raw(&ifinfo(0, 0, 0, 0))
        .string(IFLA_IFNAME, name);
    let about = About {
        operation: "look up link",
        object: name,
    };
    found(socket.ask(about, message, parse_link))
}

/// The link of that index; `None` if there is none.
pub(crate) fn link_by_index(socket: &mut Socket, index: u32) -> Result<Option<Link>, Error> {
    let message = Message::new(RTM_GETLINK, 0).raw(&ifinfo(0, index, 0, 0));
    let about = About {
        operation: "look up",
        object: "a link",
    };
    found(socket.ask(about, message, parse_link))
}

/// The ports of a bridge.
pub(crate) fn ports(socket: &mut Socket, bridge: u32) -> Result<Vec<Link>, Error> {
    let of_bridge = |m: Message| m.u32(IFLA_MASTER, bridge);
    let mut links = links(socket, of_bridge)?;
    links.retain(|link| link.controller == bridge);
    Ok(links)
}

/// The ends of veth pairs.
pub(crate) fn veth_links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    let veth = |m: Message| m.nested(IFLA_LINKINFO, |m| m.string(IFLA_INFO_KIND, "veth"));
    links(socket, veth)
}

/// The links of a namespace that are on one of another namespace, of these kinds.
pub(crate) fn links_abroad(socket: &mut Socket, kinds: &[&str]) -> Result<Vec<Link>, Error> {
    let mut links = links(socket, |m| m)?;
    links.retain(|link| kinds.contains(&link.kind.as_str()) && link.is_abroad);
    Ok(links)
}

/// Links, without their counters; older kernels list more than those `which` asks for.
fn links(socket: &mut Socket, which: impl Fn(Message) -> Message) -> Result<Vec<Link>, Error> {
    let message = Message::new(RTM_GETLINK, 0)
        .raw(&ifinfo(0, 0, 0, 0))
        .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    let about = About {
        operation: "list",
        object: "links",
    };
    socket.dump(about, which(message), parse_link)
}

/// All addresses, each with its link's index; without link-local ones of IPv6.
pub(crate) fn addresses(socket: &mut Socket) -> Result<Vec<(u32, IpCidr)>, Error> {
    let message = Message::new(RTM_GETADDR, 0).raw(&[0; 8]);
    socket.dump(
        About {
            operation: "list",
            object: "addresses",
        },
        message,
        |answer| {
            let attributes = Attributes::after(answer.payload, 8);
            let value = attributes
                .get(IFA_LOCAL)
                .or_else(|| attributes.get(IFA_ADDRESS))?;
            let address = IpCidr::new(ip(value)?, *answer.payload.get(1)?)?;
            let uninteresting = matches!(address.address(), IpAddr::V6(six)
                if six.is_unicast_link_local());
            (!uninteresting).then_some((read_u32(answer.payload, 4)?, address))
        },
    )
}

/// The index of the link that the IPv4 default route of the lowest metric leaves by.
pub(crate) fn uplink(socket: &mut Socket) -> Result<Option<u32>, Error> {
    let mut header = [0; 12];
    header[0] = AF_INET;
    let message = Message::new(RTM_GETROUTE, 0).raw(&header);
    let about = About {
        operation: "list",
        object: "routes",
    };
    let ways = socket.dump(about, message, |answer| {
        let (&prefix, &table) = (answer.payload.get(1)?, answer.payload.get(4)?);
        let attributes = Attributes::after(answer.payload, 12);
        let way = (
            attributes.u32(RTA_PRIORITY).unwrap_or(0),
            attributes.u32(RTA_OIF)?,
        );
        (prefix == 0 && table == RT_TABLE_MAIN).then_some(way)
    })?;
    Ok(ways.into_iter().min().map(|(_, index)| index))
}

/// The destinations of all unicast routes but the default ones, with the
/// index of the link each leaves by (0 if by none).
pub(crate) fn routes(socket: &mut Socket) -> Result<Vec<(u32, IpCidr)>, Error> {
    let mut header = [0; 12];
    // A kernel that does not look at it lists those of all kinds.
    header[7] = RTN_UNICAST;
    let message = Message::new(RTM_GETROUTE, 0).raw(&header);
    socket.dump(
        About {
            operation: "list",
            object: "routes",
        },
        message,
        |answer| {
            let (&prefix, &table, &kind) = (
                answer.payload.get(1)?,
                answer.payload.get(4)?,
                answer.payload.get(7)?,
            );
            if prefix == 0 || table == RT_TABLE_LOCAL || kind != RTN_UNICAST {
                return None;
            }
            let attributes = Attributes::after(answer.payload, 12);
            let destination = IpCidr::new(ip(attributes.get(RTA_DST)?)?, prefix)?;
            Some((attributes.u32(RTA_OIF).unwrap_or(0), destination))
        },
    )
}

fn parse_link(answer: Answer<'_>) -> Option<Link> {
    let attributes = Attributes::after(answer.payload, 16);
    let kind = attributes
        .nested(IFLA_LINKINFO)
        .and_then(|info| info.string(IFLA_INFO_KIND));
    Some(Link {
        index: read_u32(answer.payload, 4)?,
        name: attributes.string(IFLA_IFNAME)?,
        kind: kind.unwrap_or_default(),
        controller: attributes.u32(IFLA_MASTER).unwrap_or(0),
        operational: attributes.get(IFLA_OPERSTATE) == Some(&[IF_OPER_UP]),
        is_abroad: attributes.get(IFLA_LINK_NETNSID).is_some(),
        mtu: attributes.u32(IFLA_MTU).unwrap_or(0),
        mac: attributes
            .get(IFLA_ADDRESS)
            .and_then(|bytes| bytes.try_into().ok().map(MacAddress)),
    })
}

fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|six| Ipv6Addr::from(six).into())
}
