//! Questions as datagrams, with what the kernel tells of each: from where, and on
//! which processor it was asked (the mark that `firewall::redirect_names` sets).
#![allow(unsafe_code, reason = "no crate reads the mark of a datagram")]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Room for one message of ancillary data that holds a number, in aligned words.
const ROOM: usize = 8;

/// A question.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) length: usize,
    pub(super) client: SocketAddr,
    /// The processor, where the kernel tells.
    pub(super) processor: Option<u32>,
}

/// Takes the next question, if there is one.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Datagram> {
    // SAFETY: zeros are a valid value of these structures of numbers and pointers.
    let (mut from, mut message): (libc::sockaddr_in, libc::msghdr) = unsafe { mem::zeroed() };
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut ancillary = [0u64; ROOM];
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = mem::size_of_val(&from) as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = ancillary.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of_val(&ancillary) as _;
    // SAFETY: every pointer in the message is to memory of the told size that outlives the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let address = Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes());
    Ok(Datagram {
        length,
        client: SocketAddr::from((address, u16::from_be(from.sin_port))),
        processor: mark(&message),
    })
}

fn mark(message: &libc::msghdr) -> Option<u32> {
    // SAFETY: the kernel has filled the ancillary data in, and told its length; the header is
    // inside of it, and a number is behind the header where its length says so.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        let found = header.as_ref()?;
        let number = (libc::SOL_SOCKET, libc::SO_MARK);
        let length = libc::CMSG_LEN(mem::size_of::<u32>() as libc::c_uint) as usize;
        if (found.cmsg_level, found.cmsg_type) != number || (found.cmsg_len as usize) < length {
            return None;
        }
        Some(libc::CMSG_DATA(header).cast::<u32>().read_unaligned())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn questions_come_with_their_sender() {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let (to, from) = (UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap());
        let _ = gantry_sys::receive_marks(to.as_fd());
        from.send_to(b"who", to.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 16];
        let datagram = receive(&to, &mut buffer).unwrap();
        assert_eq!(&buffer[..datagram.length], b"who");
        assert_eq!(datagram.client, from.local_addr().unwrap());
        to.set_nonblocking(true).unwrap();
        assert!(receive(&to, &mut buffer).is_err());
    }
}
