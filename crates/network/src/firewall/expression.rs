//! Single nf_tables expressions, the steps that a rule is made of: load a
//! value into a register, compare it or look it up, decide.
//!
//! ```text
//! registers   8 … 15   what is looked up (up to 32 bytes; 40 where no map answers)
//!             16 … 23  what a map gives: an address, and a port behind it
//! ```

use std::net::SocketAddr;

use super::Ip;
use crate::config::Mark;
use crate::ip_cidr::octets;
use crate::netlink::Message;
use crate::ports::Protocol;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;

const NFT_REG_VERDICT: u32 = 0;
/// The first register of what is looked up.
const KEY: u32 = 8;
/// The first register of what a map gives.
const VALUE: u32 = 16;
const NFT_META_MARK: u32 = 3;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_META_L4PROTO: u32 = 16;
const NFT_META_CPU: u32 = 20;
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_NEQ: u32 = 1;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFT_PAYLOAD_CSUM_INET: u32 = 1;
const SOURCE_PORT_OFFSET: u32 = 0;
const DESTINATION_PORT_OFFSET: u32 = 2;
const NFT_CT_STATE: u32 = 0;
const NFT_CT_STATUS: u32 = 2;
const NFT_LOOKUP_F_INV: u32 = 1;
const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
const NFTA_FIB_F_DADDR: u32 = 2;
const NFT_NAT_SNAT: u32 = 0;
const NFT_NAT_DNAT: u32 = 1;
const RTN_LOCAL: u32 = 2;
const CT_ESTABLISHED_OR_RELATED: u32 = 0b110;
const CT_DESTINATION_CHANGED: u32 = 1 << 5;
/// Bytes of an interface's name in a register.
pub(super) const INTERFACE_NAME_SIZE: usize = 16;

/// What happens to a packet that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    Accept,
}

impl Verdict {
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
        }
    }
}

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// Came in by an interface of this set.
    From(&'static str),
    /// Goes out by an interface of this set.
    To(&'static str),
    /// Goes out by none of this set.
    NotToAny(&'static str),
    /// Sent from an address of this set.
    SourceIn(&'static str),
    /// Sent from a loopback address.
    FromLoopback,
    /// Sent to a loopback address.
    ToLoopback,
    /// Sent to an address of a link (IPv6).
    ToLinkLocal,
    /// Sent to an address of this host.
    ToThisHost,
    /// Decided by the pair of interfaces, if this map has it.
    ByInterfaces(&'static str),
    /// Came in and goes out by a pair of interfaces of this set.
    Between(&'static str),
    /// Marked so, of the bits of a mask.
    Marked(Mark),
    /// Part of a connection that was let in, or an error about one.
    EstablishedOrRelated,
    /// Part of a connection whose destination was changed.
    Redirected,
    /// Give it the address of the interface that it leaves by.
    Masquerade,
    /// Give it the address that this map has for its sender.
    Translate(&'static str),
    /// Send it where this map of (address, protocol, port) says.
    RedirectExact(&'static str),
    /// Send it where this map of (protocol, port) says.
    RedirectAny(&'static str),
    /// Sent to a port of this set of (address, protocol, port).
    ToPortIn(&'static str),
    /// In this set of (address, protocol, port, sender).
    FromAnyOf(&'static str),
    /// A message of the family's control protocol, such as an echo request.
    Control,
    /// Not in this set of (address, protocol, port, sender).
    NotFromAny(&'static str),
    /// Sent from this socket.
    FromSocket(Protocol, SocketAddr),
    /// Sent to this socket.
    ToSocket(Protocol, SocketAddr),
    /// Write another port of the sender into the packet; no connection is tracked.
    WriteSourcePort(Protocol, u16),
    /// The same with the receiver's.
    WriteDestinationPort(Protocol, u16),
    /// The packet's mark tells which processor sends it.
    MarkByProcessor,
    /// The end of the way.
    Decide(Verdict),
}

impl Expression {
    /// Appends this step to a rule's list of expressions.
    pub(super) fn append(&self, m: Message, ip: Ip) -> Message {
        match self {
            Self::From(set) => lookup(meta(m, NFT_META_IIFNAME, KEY), set, None, false),
            Self::To(set) => lookup(meta(m, NFT_META_OIFNAME, KEY), set, None, false),
            Self::NotToAny(set) => lookup(meta(m, NFT_META_OIFNAME, KEY), set, None, true),
            Self::SourceIn(set) => {
                let m = payload(m, ip.source_offset(), ip.address_size(), KEY);
                lookup(m, set, None, false)
            }
            Self::FromLoopback => loopback(m, ip, ip.source_offset()),
            Self::ToLoopback => loopback(m, ip, ip.destination_offset()),
            Self::ToLinkLocal => {
                let m = mask(payload(m, ip.destination_offset(), 2, KEY), &[0xff, 0xc0]);
                compare(m, NFT_CMP_EQ, &[0xfe, 0x80])
            }
            Self::ToThisHost => to_this_host(m),
            Self::ByInterfaces(map) => lookup(interfaces(m), map, Some(NFT_REG_VERDICT), false),
            Self::Between(set) => lookup(interfaces(m), set, None, false),
            Self::Marked(mark) => {
                let m = mask(meta(m, NFT_META_MARK, KEY), &mark.mask.to_ne_bytes());
                compare(m, NFT_CMP_EQ, &mark.value.to_ne_bytes())
            }
            Self::EstablishedOrRelated => connection(m, NFT_CT_STATE, CT_ESTABLISHED_OR_RELATED),
            Self::Redirected => connection(m, NFT_CT_STATUS, CT_DESTINATION_CHANGED),
            Self::Masquerade => element(m, "masq", |m| m),
            Self::Translate(map) => {
                let m = payload(m, ip.source_offset(), ip.address_size(), KEY);
                translate(lookup(m, map, Some(VALUE), false), ip)
            }
            Self::RedirectExact(map) => {
                redirect(lookup(receiver(m, ip), map, Some(VALUE), false), ip)
            }
            Self::ToPortIn(set) => lookup(receiver(m, ip), set, None, false),
            Self::NotFromAny(set) => lookup(receiver_and_sender(m, ip), set, None, true),
            Self::FromAnyOf(set) => lookup(receiver_and_sender(m, ip), set, None, false),
            Self::Control => {
                let number = match ip {
                    Ip::V4 => libc::IPPROTO_ICMP,
                    Ip::V6 => libc::IPPROTO_ICMPV6,
                };
                compare(meta(m, NFT_META_L4PROTO, KEY), NFT_CMP_EQ, &[number as u8])
            }
            Self::RedirectAny(map) => {
                let m = protocol_and_port(m, KEY);
                redirect(lookup(m, map, Some(VALUE), false), ip)
            }
            Self::FromSocket(protocol, socket) => {
                let place = (ip.source_offset(), SOURCE_PORT_OFFSET);
                is_socket(m, place, *protocol, *socket)
            }
            Self::ToSocket(protocol, socket) => {
                let place = (ip.destination_offset(), DESTINATION_PORT_OFFSET);
                is_socket(m, place, *protocol, *socket)
            }
            Self::WriteSourcePort(protocol, port) => {
                write_port(m, SOURCE_PORT_OFFSET, *protocol, *port)
            }
            Self::WriteDestinationPort(protocol, port) => {
                write_port(m, DESTINATION_PORT_OFFSET, *protocol, *port)
            }
            Self::MarkByProcessor => {
                let m = meta(m, NFT_META_CPU, KEY);
                element(m, "meta", |m| m.be32(2, NFT_META_MARK).be32(3, KEY))
            }
            Self::Decide(verdict) => decide(m, *verdict),
        }
    }
}

fn element(m: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    m.nested(NFTA_LIST_ELEM, |m| {
        m.string(NFTA_EXPR_NAME, name).nested(NFTA_EXPR_DATA, data)
    })
}

fn compare(m: Message, operator: u32, value: &[u8]) -> Message {
    element(m, "cmp", |m| {
        m.be32(1, KEY)
            .be32(2, operator)
            .nested(3, |m| m.attribute(NFTA_DATA_VALUE, value))
    })
}

fn mask(m: Message, bits: &[u8]) -> Message {
    let zeros = vec![0; bits.len()];
    element(m, "bitwise", |m| {
        m.be32(1, KEY)
            .be32(2, KEY)
            .be32(3, bits.len() as u32)
            .nested(4, |m| m.attribute(NFTA_DATA_VALUE, bits))
            .nested(5, |m| m.attribute(NFTA_DATA_VALUE, &zeros))
    })
}

fn meta(m: Message, key: u32, register: u32) -> Message {
    element(m, "meta", |m| m.be32(1, register).be32(2, key))
}

/// Bytes of the network header.
fn payload(m: Message, offset: u32, size: u32, register: u32) -> Message {
    header(m, NFT_PAYLOAD_NETWORK_HEADER, offset, size, register)
}

fn header(m: Message, base: u32, offset: u32, size: u32, register: u32) -> Message {
    element(m, "payload", |m| {
        m.be32(1, register)
            .be32(2, base)
            .be32(3, offset)
            .be32(4, size)
    })
}

/// Looks the key up; with a `result`, writes what the map has there.
fn lookup(m: Message, set: &str, result: Option<u32>, inverted: bool) -> Message {
    element(m, "lookup", |m| {
        let m = m.string(1, set).be32(2, KEY);
        let m = match result {
            Some(register) => m.be32(3, register),
            None => m,
        };
        match inverted {
            true => m.be32(5, NFT_LOOKUP_F_INV),
            false => m,
        }
    })
}

/// The name with the zeros behind it, so that `br1` is not taken for `br10`.
pub(super) fn padded(name: &str) -> [u8; INTERFACE_NAME_SIZE] {
    let mut padded = [0; INTERFACE_NAME_SIZE];
    let length = name.len().min(INTERFACE_NAME_SIZE - 1);
    padded[..length].copy_from_slice(&name.as_bytes()[..length]);
    padded
}

/// 127.0.0.0/8, or ::1.
fn loopback(m: Message, ip: Ip, offset: u32) -> Message {
    let m = payload(m, offset, ip.address_size(), KEY);
    match ip {
        Ip::V4 => compare(mask(m, &[255, 0, 0, 0]), NFT_CMP_EQ, &[127, 0, 0, 0]),
        Ip::V6 => compare(m, NFT_CMP_EQ, &std::net::Ipv6Addr::LOCALHOST.octets()),
    }
}

fn to_this_host(m: Message) -> Message {
    let m = element(m, "fib", |m| {
        m.be32(1, KEY)
            .be32(2, NFT_FIB_RESULT_ADDRTYPE)
            .be32(3, NFTA_FIB_F_DADDR)
    });
    compare(m, NFT_CMP_EQ, &RTN_LOCAL.to_ne_bytes())
}

/// The receiver's address, the protocol, the receiver's port.
fn receiver(m: Message, ip: Ip) -> Message {
    let size = ip.address_size();
    let m = payload(m, ip.destination_offset(), size, KEY);
    protocol_and_port(m, KEY + size / 4)
}

/// The same, and the sender's address.
fn receiver_and_sender(m: Message, ip: Ip) -> Message {
    let size = ip.address_size();
    let behind = KEY + size / 4 + 2;
    payload(receiver(m, ip), ip.source_offset(), size, behind)
}

fn protocol_and_port(m: Message, register: u32) -> Message {
    let m = meta(m, NFT_META_L4PROTO, register);
    let (base, offset) = (NFT_PAYLOAD_TRANSPORT_HEADER, DESTINATION_PORT_OFFSET);
    header(m, base, offset, 2, register + 1)
}

/// The address first: it is the address that nearly all packets do not have.
fn is_socket(
    m: Message,
    (address, port): (u32, u32),
    protocol: Protocol,
    socket: SocketAddr,
) -> Message {
    let ip = octets(socket.ip());
    let m = compare(payload(m, address, ip.len() as u32, KEY), NFT_CMP_EQ, &ip);
    let m = meta(m, NFT_META_L4PROTO, KEY);
    let m = compare(m, NFT_CMP_EQ, &[protocol.number()]);
    let m = header(m, NFT_PAYLOAD_TRANSPORT_HEADER, port, 2, KEY);
    compare(m, NFT_CMP_EQ, &socket.port().to_be_bytes())
}

/// Writes a port, and what it changes in the checksum.
fn write_port(m: Message, offset: u32, protocol: Protocol, port: u16) -> Message {
    let m = element(m, "immediate", |m| {
        m.be32(1, KEY)
            .nested(2, |m| m.attribute(NFTA_DATA_VALUE, &port.to_be_bytes()))
    });
    element(m, "payload", |m| {
        m.be32(5, KEY)
            .be32(2, NFT_PAYLOAD_TRANSPORT_HEADER)
            .be32(3, offset)
            .be32(4, 2)
            .be32(6, NFT_PAYLOAD_CSUM_INET)
            .be32(7, protocol.checksum_offset())
    })
}

/// The interfaces that a packet comes in and goes out by.
fn interfaces(m: Message) -> Message {
    let m = meta(m, NFT_META_IIFNAME, KEY);
    // A name takes four registers.
    meta(m, NFT_META_OIFNAME, KEY + 4)
}

/// From the address that a map gave.
fn translate(m: Message, ip: Ip) -> Message {
    element(m, "nat", |m| {
        m.be32(1, NFT_NAT_SNAT)
            .be32(2, u32::from(ip.number()))
            .be32(3, VALUE)
    })
}

/// To the address and port that a map gave.
fn redirect(m: Message, ip: Ip) -> Message {
    element(m, "nat", |m| {
        m.be32(1, NFT_NAT_DNAT)
            .be32(2, u32::from(ip.number()))
            .be32(3, VALUE)
            .be32(5, VALUE + ip.address_size() / 4)
    })
}

fn connection(m: Message, key: u32, bits: u32) -> Message {
    let m = element(m, "ct", |m| m.be32(1, KEY).be32(2, key));
    compare(mask(m, &bits.to_ne_bytes()), NFT_CMP_NEQ, &[0; 4])
}

fn decide(m: Message, verdict: Verdict) -> Message {
    element(m, "immediate", |m| {
        m.be32(1, NFT_REG_VERDICT).nested(2, |m| {
            m.nested(NFTA_DATA_VERDICT, |m| {
                m.be32(NFTA_VERDICT_CODE, verdict.code())
            })
        })
    })
}
