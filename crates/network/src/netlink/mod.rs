//! Netlink without a library: messages as bytes, a blocking socket, and the
//! few rtnetlink requests that networks need.
//!
//! Own code instead of typed crates because only known attributes are read:
//! an attribute of a newer kernel can never make an answer unreadable, and the
//! same codec serves rtnetlink and nf_tables.

pub(crate) mod links;
mod listed;
pub(crate) mod message;
mod monitor;
pub(crate) mod route;
pub(crate) mod socket;

pub(crate) use message::Message;
pub(crate) use monitor::Monitor;
pub(crate) use socket::{Family, Socket};
