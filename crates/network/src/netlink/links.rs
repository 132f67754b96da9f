//! Links of other kinds than bridges and veth pairs: on top of a parent link, or
//! through a tunnel to other hosts.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::message::{Message, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use super::route::{
    IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER,
    IFLA_MTU, IFLA_NET_NS_FD, RTM_NEWLINK, Request, ifinfo,
};
use super::socket::About;
use crate::attachment::MacAddress;
use crate::ip_cidr::octets;

const RTM_NEWNEIGH: u16 = 28;
const IFLA_LINK: u16 = 5;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_FLAGS: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_LOCAL6: u16 = 17;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_NOARP_PERMANENT: u16 = 0xc0;
const NTF_SELF: u8 = 2;
const AF_BRIDGE: u8 = 7;

/// A macvlan or ipvlan link.
#[derive(Debug)]
pub(crate) struct Above {
    /// `macvlan` or `ipvlan`.
    pub(crate) kind: &'static str,
    /// The index of the link below.
    pub(crate) parent: u32,
    /// 0 for the parent's.
    pub(crate) mtu: u32,
    pub(crate) mac: Option<MacAddress>,
    /// The kernel's number of it.
    pub(crate) mode: u32,
    /// Of ipvlan.
    pub(crate) flags: u16,
}

/// A port of a bridge that leads to other hosts.
#[derive(Debug)]
pub(crate) struct Vxlan<'a> {
    pub(crate) name: &'a str,
    pub(crate) bridge: u32,
    /// The network's number (VNI).
    pub(crate) id: u32,
    /// The UDP port, of all hosts.
    pub(crate) port: u16,
    /// The host's address that packets are sent from.
    pub(crate) local: Option<IpAddr>,
    /// Whether other hosts are reached by IPv6.
    pub(crate) ipv6: bool,
    pub(crate) mtu: u32,
}

fn new_link<'a>(operation: &'static str, name: &'a str, flags: u32) -> Request<'a> {
    let message = Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)
        .raw(&ifinfo(0, 0, flags, flags))
        .string(IFLA_IFNAME, name);
    (
        About {
            operation,
            object: name,
        },
        message,
    )
}

/// Creates a link above another one, directly in its namespace: nothing of it is ever
/// seen on the host.
pub(crate) fn add_above<'a>(
    above: &Above,
    name: &'a str,
    namespace: BorrowedFd<'_>,
) -> Request<'a> {
    let (about, message) = new_link("create the link", name, 0);
    let message = message
        .u32(IFLA_LINK, above.parent)
        .u32(IFLA_NET_NS_FD, namespace.as_raw_fd() as u32);
    let message = match above.mtu {
        0 => message,
        mtu => message.u32(IFLA_MTU, mtu),
    };
    let message = match above.mac {
        Some(mac) => message.attribute(IFLA_ADDRESS, &mac.0),
        None => message,
    };
    let message = message.nested(IFLA_LINKINFO, |m| {
        m.string(IFLA_INFO_KIND, above.kind)
            .nested(IFLA_INFO_DATA, |m| match above.kind {
                "macvlan" => m.u32(IFLA_MACVLAN_MODE, above.mode),
                _ => m
                    .attribute(IFLA_IPVLAN_MODE, &(above.mode as u16).to_ne_bytes())
                    .attribute(IFLA_IPVLAN_FLAGS, &above.flags.to_ne_bytes()),
            })
    });
    (about, message)
}

/// Creates a VLAN of a link, and brings it up.
pub(crate) fn add_vlan(name: &str, parent: u32, id: u16) -> Request<'_> {
    let (about, message) = new_link("create the VLAN link", name, IFF_UP);
    let message = message.u32(IFLA_LINK, parent).nested(IFLA_LINKINFO, |m| {
        m.string(IFLA_INFO_KIND, "vlan")
            .nested(IFLA_INFO_DATA, |m| {
                m.attribute(IFLA_VLAN_ID, &id.to_ne_bytes())
            })
    });
    (about, message)
}

/// Creates a link that leads nowhere, and brings it up.
pub(crate) fn add_dummy(name: &str) -> Request<'_> {
    let (about, message) = new_link("create the dummy link", name, IFF_UP);
    let message = message.nested(IFLA_LINKINFO, |m| m.string(IFLA_INFO_KIND, "dummy"));
    (about, message)
}

/// Creates a VXLAN port of a bridge, and brings it up. It learns who is where.
pub(crate) fn add_vxlan<'a>(vxlan: &Vxlan<'a>) -> Request<'a> {
    let (about, message) = new_link("create the VXLAN link", vxlan.name, IFF_UP);
    let message = message
        .u32(IFLA_MTU, vxlan.mtu)
        .u32(IFLA_MASTER, vxlan.bridge)
        .nested(IFLA_LINKINFO, |m| {
            m.string(IFLA_INFO_KIND, "vxlan")
                .nested(IFLA_INFO_DATA, |m| {
                    let m = m
                        .u32(IFLA_VXLAN_ID, vxlan.id)
                        .attribute(IFLA_VXLAN_PORT, &vxlan.port.to_be_bytes())
                        .attribute(IFLA_VXLAN_LEARNING, &[1]);
                    match vxlan.local {
                        Some(local @ IpAddr::V4(_)) => {
                            m.attribute(IFLA_VXLAN_LOCAL, &octets(local))
                        }
                        Some(local) => m.attribute(IFLA_VXLAN_LOCAL6, &octets(local)),
                        None if vxlan.ipv6 => m.attribute(IFLA_VXLAN_LOCAL6, &[0; 16]),
                        None => m,
                    }
                })
        });
    (about, message)
}

/// Lets a VXLAN port send to another host what is for everybody, and for whom it does
/// not know where he is.
pub(crate) fn add_peer(index: u32, peer: IpAddr, name: &str) -> Request<'_> {
    let mut header = [0; 12];
    header[0] = AF_BRIDGE;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..10].copy_from_slice(&NUD_NOARP_PERMANENT.to_ne_bytes());
    header[10] = NTF_SELF;
    let message = Message::new(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND)
        .raw(&header)
        .attribute(NDA_LLADDR, &[0; 6])
        .attribute(NDA_DST, &octets(peer));
    (
        About {
            operation: "add a peer to",
            object: name,
        },
        message,
    )
}
