//! `clone3`: a fork that is born in its namespaces and its cgroup.
#![allow(unsafe_code, reason = "clone3 has no wrapper")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::Pid;

/// The `CLONE_*` bits that make sense for a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CloneFlags(pub u64);

impl CloneFlags {
    /// Root and working directory shared with no other thread (for `unshare`).
    pub const FS: Self = Self(libc::CLONE_FS as u64);
    /// New mount namespace.
    pub const NEWNS: Self = Self(libc::CLONE_NEWNS as u64);
    /// New cgroup namespace (its root is the *parent's* cgroup, even together
    /// with a target cgroup: unshare it in the child instead).
    pub const NEWCGROUP: Self = Self(libc::CLONE_NEWCGROUP as u64);
    /// New host and domain name.
    pub const NEWUTS: Self = Self(libc::CLONE_NEWUTS as u64);
    /// New System V IPC and message queues.
    pub const NEWIPC: Self = Self(libc::CLONE_NEWIPC as u64);
    /// New user namespace.
    pub const NEWUSER: Self = Self(libc::CLONE_NEWUSER as u64);
    /// New process id namespace.
    pub const NEWPID: Self = Self(libc::CLONE_NEWPID as u64);
    /// New network namespace.
    pub const NEWNET: Self = Self(libc::CLONE_NEWNET as u64);
    /// New time namespace.
    pub const NEWTIME: Self = Self(0x80);
    /// The child's parent is the caller's parent.
    pub const PARENT: Self = Self(libc::CLONE_PARENT as u64);

    /// Both sets.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in here.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What to clone.
#[derive(Debug, Default)]
pub struct CloneRequest<'a> {
    /// Namespaces and the like. `CLONE_PIDFD` is always added.
    pub flags: CloneFlags,
    /// The cgroup (v2) directory that the child is born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Which side of the fork this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old one, with the new one's pid (in our namespace) and handle.
    Parent {
        /// The child's process id.
        pid: Pid,
        /// The child's pidfd (close-on-exec).
        pidfd: OwnedFd,
    },
}

/// `struct clone_args` of the kernel, version 2 (with `cgroup`).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `CLONE_INTO_CGROUP`.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks. Works like `fork`: the child goes on with a copy of this memory.
///
/// # Safety
/// The calling process must have one thread only: locks (of the allocator, for
/// one) that other threads hold stay locked in the child for ever.
pub unsafe fn clone3(request: &CloneRequest<'_>) -> rustix::io::Result<Forked> {
    let mut pidfd: i32 = -1;
    let mut args = CloneArgs {
        flags: request.flags.0 | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: if request.flags.contains(CloneFlags::PARENT) {
            0
        } else {
            libc::SIGCHLD as u64
        },
        ..CloneArgs::default()
    };
    if let Some(cgroup) = request.cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the size passed, its pidfd pointer
    // is writable; without CLONE_VM the child has its own copy of the stack. That
    // there is one thread only is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    match result {
        -1 => Err(last_errno()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            Ok(Forked::Parent {
                pid: pid.ok_or(Errno::SRCH)?,
                pidfd,
            })
        }
    }
}

/// The errno of the last libc call of this thread.
pub(crate) fn last_errno() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
