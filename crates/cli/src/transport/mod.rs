//! HTTP to a daemon: connections, version negotiation, errors, hijacking.

mod body;
mod call;
mod client;
mod connection;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use body::{SendBody, channel_body, full, written_body};
pub(crate) use call::{Call, encode};
pub(crate) use client::{Answer, Client, Hijacked};
