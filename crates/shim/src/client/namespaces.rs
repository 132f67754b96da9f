//! A user namespace and a network namespace in it, before there is a container.

use std::fmt::Write as _;
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};

use gantry_runtime::oci::LinuxIdMapping;

use super::error::{Error, Result};
use super::warm::Warm;
use crate::protocol::{Frame, Message, Reply, Request, receive, send};

/// Whom the ids inside of a user namespace are outside.
#[derive(Debug, Clone, Copy)]
pub struct IdMaps<'a> {
    /// Users.
    pub uids: &'a [LinuxIdMapping],
    /// Groups.
    pub gids: &'a [LinuxIdMapping],
}

/// Namespaces that live as long as these descriptors, or a process in them.
#[derive(Debug)]
pub struct OwnNamespaces {
    /// The user namespace.
    pub user: OwnedFd,
    /// A network namespace that belongs to it, with `lo` alone.
    pub network: OwnedFd,
}

const OPERATION: &str = "make namespaces";

/// Has a shim make them, and writes the maps, which only we may. Of a user
/// namespace that is there already only the network namespace is made.
pub(super) fn make(
    warm: &Warm,
    maps: &IdMaps<'_>,
    user: Option<BorrowedFd<'_>>,
) -> Result<OwnNamespaces> {
    if let Some(user) = user {
        return answer(ask(warm, &Request::Namespaces, &[user])?);
    }
    ask(warm, &Request::Namespaces, &[])?;
    for (file, maps) in [("uid_map", maps.uids), ("gid_map", maps.gids)] {
        let mut text = String::new();
        for map in maps {
            let (inside, outside, size) = (map.container_id, map.host_id, map.size);
            let _ = writeln!(text, "{inside} {outside} {size}");
        }
        let path = format!("/proc/{}/{file}", warm.child.id());
        fs::write(&path, text).map_err(|source| Error::io("write", path, source))?;
    }
    answer(ask(warm, &Request::Mapped, &[])?)
}

fn answer(frame: Frame) -> Result<OwnNamespaces> {
    let mut fds = frame.fds.into_iter();
    match (fds.next(), fds.next()) {
        (Some(user), Some(network)) => Ok(OwnNamespaces { user, network }),
        _ => Err(Error::Unexpected(OPERATION)),
    }
}

fn ask(warm: &Warm, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<Frame> {
    send(&warm.socket, request, &[], fds).map_err(Error::connection(OPERATION))?;
    let frame = receive(&warm.socket).map_err(Error::connection(OPERATION))?;
    match frame.message().map_err(Error::connection(OPERATION))? {
        Message::Reply(Reply::Done) => Ok(frame),
        Message::Reply(Reply::Failed(failure)) => Err(Error::Start(failure)),
        _ => Err(Error::Unexpected(OPERATION)),
    }
}
