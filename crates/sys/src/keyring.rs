//! The kernel's key retention service: only what a new session needs.
#![allow(unsafe_code, reason = "keyctl has no wrapper")]

use std::ffi::CStr;

use crate::clone::last_errno;

/// `KEYCTL_JOIN_SESSION_KEYRING`.
const JOIN_SESSION_KEYRING: libc::c_int = 1;

/// Joins (or makes) the session keyring of this name, so that the process does
/// not share its caller's keys. Returns the keyring's serial number.
pub fn join_session_keyring(name: &CStr) -> rustix::io::Result<i32> {
    // SAFETY: the name is a NUL-terminated string that outlives the call.
    let serial = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            name.as_ptr(),
            0,
            0,
            0,
        )
    };
    match serial {
        -1 => Err(last_errno()),
        serial => Ok(serial as i32),
    }
}
