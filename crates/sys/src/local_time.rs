//! Where this machine's clocks on the wall stand.
#![allow(unsafe_code, reason = "localtime_r has no wrapper")]

/// Seconds that local time is ahead of UTC at a moment, by the system's time
/// zone; 0 when that is unknown.
pub fn utc_offset(seconds: i64) -> i64 {
    // SAFETY: plain numbers and a pointer, for which zeros are fine.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values of this frame.
    let found = unsafe { libc::localtime_r(&raw const seconds, &raw mut parts) };
    if found.is_null() { 0 } else { parts.tm_gmtoff }
}
