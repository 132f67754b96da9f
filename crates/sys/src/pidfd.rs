//! Processes by descriptor: signals of any number, waiting, namespaces.
#![allow(unsafe_code, reason = "real-time signals and pidfd waits")]

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use crate::CloneFlags;
use crate::clone::last_errno;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By exit, with this code.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
}

impl ExitStatus {
    /// As shells count: 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }
}

/// Sends a signal by number (real-time signals too; 0 only asks).
pub fn pidfd_send_signal(pidfd: impl AsFd, signal: i32) -> rustix::io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: integers and a null pointer, which the call permits.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, no_info, 0) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Reaps the child behind a pidfd. `None`: it runs yet (only with `block` false).
pub fn wait_pidfd(pidfd: impl AsFd, block: bool) -> rustix::io::Result<Option<ExitStatus>> {
    use rustix::process::{WaitId, WaitIdOptions};
    let mut options = WaitIdOptions::EXITED;
    if !block {
        options |= WaitIdOptions::NOHANG;
    }
    loop {
        return match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options) {
            Err(Errno::INTR) => continue,
            Err(errno) => Err(errno),
            Ok(None) => Ok(None),
            Ok(Some(status)) => Ok(Some(match status.exit_status() {
                Some(code) => ExitStatus::Exited(code),
                None => ExitStatus::Signaled(status.terminating_signal().unwrap_or(0)),
            })),
        };
    }
}

/// The process behind a pidfd, in the pid namespace that `/proc` shows. `ESRCH`
/// when it is gone.
pub fn pid_of(pidfd: impl AsFd) -> rustix::io::Result<rustix::process::Pid> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let number = number.and_then(|number| number.trim().parse().ok());
    number
        .filter(|number: &i32| *number > 0)
        .and_then(rustix::process::Pid::from_raw)
        .ok_or(Errno::SRCH)
}

/// Joins the given kinds of namespaces of the process behind a pidfd, at once.
/// A pid namespace counts for children only.
pub fn setns_pidfd(pidfd: impl AsFd, kinds: CloneFlags) -> rustix::io::Result<()> {
    // SAFETY: plain integers; the process has one thread or the call fails.
    match unsafe { libc::setns(pidfd.as_fd().as_raw_fd(), kinds.0 as libc::c_int) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}
