//! Process attributes that rustix has no function for.
#![allow(unsafe_code, reason = "raw system calls on plain integers")]

use crate::clone::last_errno;

/// Sets the execution domain (`personality(2)`) of this thread.
pub fn personality(domain: u64) -> rustix::io::Result<()> {
    // SAFETY: takes an integer and touches no memory.
    match unsafe { libc::syscall(libc::SYS_personality, domain) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Whether `setgroups` may be called in this user namespace
/// (`/proc/self/setgroups` does not say "deny").
pub fn setgroups_allowed() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").map_or(true, |text| text.trim() != "deny")
}
