//! Descriptors that the parent process left open for this one.
#![allow(unsafe_code, reason = "a number becomes a descriptor")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::clone::last_errno;

/// Takes over the descriptor of this number, which the parent passed (as systemd
/// passes sockets); from now on it is close-on-exec. To be called once for a
/// number, before anything else could own it.
pub fn inherited_fd(number: RawFd) -> rustix::io::Result<OwnedFd> {
    // SAFETY: takes integers and touches no memory; fails for a closed number.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: the number is open, and by contract nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
