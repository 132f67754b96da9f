//! Options of sockets that are on or off, for which no crate has names.
#![allow(unsafe_code, reason = "no crate has these options")]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::clone::last_errno;

/// `SO_RCVMARK`, since Linux 5.19.
const SO_RCVMARK: libc::c_int = 75;

/// Asks a netlink socket for error texts (`NETLINK_EXT_ACK`).
pub fn netlink_extended_ack(socket: BorrowedFd<'_>) -> rustix::io::Result<()> {
    switch_on(socket, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK)
}

/// Lets the kernel use what a request to list something says of it
/// (`NETLINK_GET_STRICT_CHK`).
pub fn netlink_strict_check(socket: BorrowedFd<'_>) -> rustix::io::Result<()> {
    switch_on(socket, libc::SOL_NETLINK, libc::NETLINK_GET_STRICT_CHK)
}

/// Asks for the marks of what is received, which come as ancillary data.
pub fn receive_marks(socket: BorrowedFd<'_>) -> rustix::io::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, SO_RCVMARK)
}

fn switch_on(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
) -> rustix::io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an int of the length passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    match result {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}
