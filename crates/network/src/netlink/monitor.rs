//! A netlink socket on which the kernel tells of changes, by whomever.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with, sockopt,
};

use super::message::{self, Answer};
use super::socket::Family;

/// `RTMGRP_LINK`.
const LINKS: u32 = 1;
/// `NFNLGRP_NFTABLES`, as a mask.
const RULES: u32 = 1 << 6;
/// The kernel never sends more than this at once.
const DATAGRAM: usize = 32 * 1024;
/// So much may wait to be read.
const WAITING: usize = 1 << 20;

/// What the kernel tells of one part of it, in the namespace of the thread that
/// opened it.
#[derive(Debug)]
pub(crate) struct Monitor {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Tells of links, or of nf_tables.
    ///
    /// # Errors
    /// When the kernel has no such socket.
    pub(crate) fn open(family: Family) -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let groups = match family {
            Family::Route => LINKS,
            Family::Netfilter => RULES,
        };
        let protocol = family.protocol();
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        // A comfort: what is lost is noticed.
        let _ = sockopt::set_socket_recv_buffer_size_force(&fd, WAITING);
        bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self {
            fd,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Gives all that there is to `read`; false when some of it was lost.
    pub(crate) fn drain(&mut self, mut read: impl FnMut(Answer<'_>)) -> bool {
        let mut complete = true;
        loop {
            match recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => message::answers(&self.buffer[..length]).for_each(&mut read),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => complete = false,
                Err(_) => return complete,
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
