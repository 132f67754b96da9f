//! The sockets that keep ports of the host: whoever else wants such a port is
//! told that it is in use.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt,
};

use super::Protocol;

/// Clients that wait until the proxy takes them.
const BACKLOG: i32 = 512;

/// Binds a port; `None` when the kernel has no sockets of that protocol, so that
/// nobody else can want the port either. With `serve`, clients may connect.
pub(super) fn reserve(
    protocol: Protocol,
    address: SocketAddr,
    serve: bool,
) -> Result<Option<OwnedFd>, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match socket_with(family, kind, flags, Some(number)) {
        Err(Errno::PROTONOSUPPORT) if protocol == Protocol::Sctp => return Ok(None),
        other => other?,
    };
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of the last one who had it may linger.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    if serve && protocol == Protocol::Tcp {
        listen(&socket, BACKLOG)?;
    }
    Ok(Some(socket))
}
