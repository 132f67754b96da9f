//! Memory that is not needed any more.
#![allow(
    unsafe_code,
    reason = "the C library's allocator has no safe interface"
)]

/// Gives unused heap back to the kernel, of all threads: after work that took
/// much, so that a daemon at rest is small.
pub fn give_back_heap() {
    // SAFETY: takes a number, and the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}
