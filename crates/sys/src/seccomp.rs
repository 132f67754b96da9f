//! Installing a seccomp filter. What is in it is the runtime's business.
#![allow(unsafe_code, reason = "seccomp(2) has no wrapper")]

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// One classic BPF instruction (`struct sock_filter`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SockFilter {
    /// Operation.
    pub code: u16,
    /// Instructions to skip if the comparison holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// `SECCOMP_FILTER_FLAG_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeccompFlags(pub u64);

impl SeccompFlags {
    /// All threads of the process.
    pub const TSYNC: Self = Self(1);
    /// Log every action but allow.
    pub const LOG: Self = Self(2);
    /// Leave speculative store bypass mitigation off.
    pub const SPEC_ALLOW: Self = Self(4);
    /// Return a descriptor on which a supervisor listens.
    pub const NEW_LISTENER: Self = Self(8);
    /// The supervisor's answer is waited for, killably only.
    pub const WAIT_KILLABLE_RECV: Self = Self(32);
}

#[repr(C)]
struct SockFprog {
    len: u16,
    filter: *const SockFilter,
}

/// Puts this thread under a filter. Needs `no_new_privs` or `CAP_SYS_ADMIN`.
/// Returns the listener if [`SeccompFlags::NEW_LISTENER`] was asked for.
pub fn install_seccomp(
    program: &[SockFilter],
    flags: SeccompFlags,
) -> rustix::io::Result<Option<OwnedFd>> {
    let fprog = SockFprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        filter: program.as_ptr(),
    };
    // SAFETY: fprog points to `len` instructions that outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags.0,
            &raw const fprog,
        )
    };
    match result {
        -1 => Err(last_errno()),
        fd if flags.0 & SeccompFlags::NEW_LISTENER.0 != 0 => {
            // SAFETY: with this flag the result is a new descriptor that is ours.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
        }
        _ => Ok(None),
    }
}
