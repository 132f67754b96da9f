//! Single nf_tables expressions, the steps that a rule is made of: load a
//! value into a register, compare it, decide.

use std::net::Ipv4Addr;

use crate::cidr::Ipv4Cidr;
use crate::netlink::Message;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;

const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_NEQ: u32 = 1;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_CT_STATE: u32 = 0;
const IPV4_SOURCE_OFFSET: u32 = 12;
const CT_ESTABLISHED_OR_RELATED: u32 = 0b110;
const INTERFACE_NAME_SIZE: usize = 16;

/// What happens to a packet that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    Accept,
}

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// Came in by this interface.
    From(String),
    /// Came in by another interface.
    NotFrom(String),
    /// Goes out by this interface.
    To(String),
    /// Goes out by another interface.
    NotTo(String),
    /// Sent from this subnet.
    Source(Ipv4Cidr),
    /// Part of a connection that was let in, or an error about one.
    EstablishedOrRelated,
    /// Give it the address of the interface that it leaves by.
    Masquerade,
    /// The end of the way.
    Decide(Verdict),
}

impl Expression {
    /// Appends this step to a rule's list of expressions.
    pub(super) fn append(&self, m: Message) -> Message {
        match self {
            Self::From(name) => interface(m, NFT_META_IIFNAME, NFT_CMP_EQ, name),
            Self::NotFrom(name) => interface(m, NFT_META_IIFNAME, NFT_CMP_NEQ, name),
            Self::To(name) => interface(m, NFT_META_OIFNAME, NFT_CMP_EQ, name),
            Self::NotTo(name) => interface(m, NFT_META_OIFNAME, NFT_CMP_NEQ, name),
            Self::Source(subnet) => source(m, *subnet),
            Self::EstablishedOrRelated => connection_state(m),
            Self::Masquerade => element(m, "masq", |m| m),
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
        m.be32(1, NFT_REG_1)
            .be32(2, operator)
            .nested(3, |m| m.attribute(NFTA_DATA_VALUE, value))
    })
}

fn mask(m: Message, bits: &[u8; 4]) -> Message {
    element(m, "bitwise", |m| {
        m.be32(1, NFT_REG_1)
            .be32(2, NFT_REG_1)
            .be32(3, 4)
            .nested(4, |m| m.attribute(NFTA_DATA_VALUE, bits))
            .nested(5, |m| m.attribute(NFTA_DATA_VALUE, &[0; 4]))
    })
}

/// The name is compared with its zeros, so that `br1` does not match `br10`.
fn interface(m: Message, key: u32, operator: u32, name: &str) -> Message {
    let mut padded = [0; INTERFACE_NAME_SIZE];
    let length = name.len().min(INTERFACE_NAME_SIZE - 1);
    padded[..length].copy_from_slice(&name.as_bytes()[..length]);
    let m = element(m, "meta", |m| m.be32(1, NFT_REG_1).be32(2, key));
    compare(m, operator, &padded)
}

fn source(m: Message, subnet: Ipv4Cidr) -> Message {
    let m = element(m, "payload", |m| {
        m.be32(1, NFT_REG_1)
            .be32(2, NFT_PAYLOAD_NETWORK_HEADER)
            .be32(3, IPV4_SOURCE_OFFSET)
            .be32(4, 4)
    });
    let m = mask(m, &Ipv4Addr::from_bits(subnet.mask()).octets());
    compare(m, NFT_CMP_EQ, &subnet.network().address().octets())
}

fn connection_state(m: Message) -> Message {
    let m = element(m, "ct", |m| m.be32(1, NFT_REG_1).be32(2, NFT_CT_STATE));
    let m = mask(m, &CT_ESTABLISHED_OR_RELATED.to_ne_bytes());
    compare(m, NFT_CMP_NEQ, &[0; 4])
}

fn decide(m: Message, verdict: Verdict) -> Message {
    let code = match verdict {
        Verdict::Drop => 0,
        Verdict::Accept => 1,
    };
    element(m, "immediate", |m| {
        m.be32(1, NFT_REG_VERDICT).nested(2, |m| {
            m.nested(NFTA_DATA_VERDICT, |m| m.be32(NFTA_VERDICT_CODE, code))
        })
    })
}
