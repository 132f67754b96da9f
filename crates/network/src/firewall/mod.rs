//! The firewall: what traffic of bridge networks may go where, and which ports
//! of the host lead to which container.
//!
//! Everything lives in nf_tables tables of our own, one for each family. Their
//! rules never change: networks and published ports are elements of sets and
//! maps, so a thousand of them cost a packet no more than one, and each change
//! is a small atomic batch. Tables of others are never read or changed.

mod element;
mod explain;
mod expression;
mod rules;
mod state;
mod transaction;

pub(crate) use element::{Forward, Member};
pub(crate) use rules::{Policy, redirect_names};
pub(crate) use state::Firewall;

/// The family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ip {
    V4,
    V6,
}

impl Ip {
    const ALL: [Self; 2] = [Self::V4, Self::V6];

    fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    /// `NFPROTO_…`
    const fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    const fn address_size(self) -> u32 {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// Where the sender's address is in a packet.
    const fn source_offset(self) -> u32 {
        match self {
            Self::V4 => 12,
            Self::V6 => 8,
        }
    }

    /// Where the receiver's address is in a packet.
    const fn destination_offset(self) -> u32 {
        self.source_offset() + self.address_size()
    }
}
