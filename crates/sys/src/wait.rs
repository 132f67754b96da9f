//! Waiting for a child, with what it has used.
#![allow(unsafe_code, reason = "wait4, which rustix has without the usage")]

use std::time::Duration;

use rustix::io::Errno;

use crate::ExitStatus;
use crate::clone::last_errno;

/// What a child and those of its descendants that were waited for have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, in user space and in the kernel.
    pub cpu: Duration,
    /// The most memory that one of these processes had resident, in bytes. Counts
    /// what the parent had at the fork, too.
    pub peak_memory: u64,
}

/// Waits for the end of the child `pid` and reaps it.
pub fn wait_with_usage(pid: u32) -> rustix::io::Result<(ExitStatus, Usage)> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::SRCH)?;
    let mut status = 0;
    // SAFETY: all fields are plain numbers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live values of the right type.
        match unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } {
            -1 if last_errno() == Errno::INTR => {}
            -1 => return Err(last_errno()),
            _ => break,
        }
    }
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec.unsigned_abs())
            + Duration::from_micros(t.tv_usec.unsigned_abs())
    };
    let status = match libc::WIFSIGNALED(status) {
        true => ExitStatus::Signaled(libc::WTERMSIG(status)),
        false => ExitStatus::Exited(libc::WEXITSTATUS(status)),
    };
    let usage = Usage {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_memory: usage.ru_maxrss.unsigned_abs() * 1024,
    };
    Ok((status, usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::zombie_processes,
        reason = "it is waited for, by the function under test"
    )]
    fn a_child_is_reaped_with_its_usage() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let (status, usage) = wait_with_usage(child.id()).unwrap();
        assert_eq!(status, ExitStatus::Exited(0));
        assert!(usage.peak_memory > 100_000, "{usage:?}");
        assert_eq!(wait_with_usage(child.id()), Err(Errno::CHILD));
    }
}
