//! Signal dispositions and masks of this process.
#![allow(unsafe_code, reason = "signal sets and dispositions")]

use std::os::fd::{FromRawFd, OwnedFd};

use crate::clone::last_errno;

/// Sets every signal to its default action and blocks none: what a program
/// expects to find when it starts. To be called between fork and exec.
pub fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours; numbers that cannot be changed
        // (SIGKILL, libc's own) are refused, which is right.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by sigemptyset before it is used.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Blocks these signals in this thread and returns a descriptor (non-blocking,
/// close-on-exec) from which they are read as `signalfd_siginfo` of 128 bytes,
/// the signal's number in the first four.
pub fn signal_fd(signals: &[i32]) -> rustix::io::Result<OwnedFd> {
    // SAFETY: the set is initialised before use; the result of signalfd is a new
    // descriptor that is ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(last_errno());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) {
            -1 => Err(last_errno()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}
