//! What the other side of a socket has not read yet.
#![allow(unsafe_code, reason = "this ioctl has no wrapper")]

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// How much memory the bytes take that were written to a connected unix socket
/// and that the other side has not read (`SIOCOUTQ`, unix(7)): 0 when it has
/// read all of them.
pub fn unread_by_peer(socket: impl AsFd) -> Result<usize, Errno> {
    let mut unread: libc::c_int = 0;
    // SAFETY: the descriptor is open for the call, and the request writes one int
    // to the address of one int.
    let result =
        unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) };
    match result {
        0 => Ok(usize::try_from(unread).unwrap_or(0)),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::unread_by_peer;

    #[test]
    fn what_was_read_is_unread_no_more() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(unread_by_peer(&ours), Ok(0));
        ours.write_all(b"abc").unwrap();
        assert!(unread_by_peer(&ours).unwrap() > 0);
        theirs.read_exact(&mut [0; 3]).unwrap();
        assert_eq!(unread_by_peer(&ours), Ok(0));
    }
}
