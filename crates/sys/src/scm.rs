//! File descriptors as luggage of a unix socket message.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The most descriptors that one message carries here.
const MAX_FDS: usize = 32;

/// Sends bytes and descriptors in one message; returns how many bytes went out.
/// The receiver has the descriptors with the first byte. A closed peer is
/// `EPIPE`, without a signal. At least one byte is needed to carry descriptors
/// over a stream.
pub fn send_with_fds(
    socket: impl AsFd,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> rustix::io::Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(Errno::INVAL);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut luggage = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !luggage.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    loop {
        let slices = [IoSlice::new(bytes)];
        match rustix::net::sendmsg(&socket, &slices, &mut luggage, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Receives bytes and what descriptors come with them (close-on-exec).
/// `(0, [])` is the end of the stream. A message cut short is `EMSGSIZE`.
pub fn recv_with_fds(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> rustix::io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut luggage = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        match rustix::net::recvmsg(&socket, &mut slices, &mut luggage, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in luggage.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    let cut = rustix::net::ReturnFlags::CTRUNC | rustix::net::ReturnFlags::TRUNC;
    if received.flags.intersects(cut) {
        return Err(Errno::MSGSIZE);
    }
    Ok((received.bytes, fds))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_arrive() {
        let (a, b) = UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        send_with_fds(&a, b"hi", &[file.as_fd(), file.as_fd()]).unwrap();
        let mut buffer = [0; 16];
        let (count, fds) = recv_with_fds(&b, &mut buffer).unwrap();
        assert_eq!((&buffer[..count], fds.len()), (&b"hi"[..], 2));
        drop(a);
        assert_eq!(recv_with_fds(&b, &mut buffer).unwrap().0, 0);
    }
}
