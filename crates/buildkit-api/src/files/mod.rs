//! Files that travel over a session, by the protocol of BuildKit's `fsutil`: the sender
//! tells of each file in order (STAT), the receiver asks for the contents of those that
//! it does not have (REQ), gets them in pieces (DATA), and says when it has all (FIN).

pub(crate) mod kept;
mod receive;
#[cfg(test)]
mod receive_tests;
mod tree;

pub(crate) use gantry_grpc::packet::{Kind, Packet, Stat};
pub(crate) use receive::{Wanted, receive};
#[cfg(fuzzing)]
pub(crate) use tree::replay;
