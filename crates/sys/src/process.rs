//! Small steps between fork and exec.
#![allow(unsafe_code, reason = "raw system calls on plain integers")]

use std::os::fd::BorrowedFd;

use crate::CloneFlags;
use crate::clone::last_errno;

/// Ends the process at once: no destructors, no exit handlers. What a forked
/// child does when it cannot go on.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// Marks every descriptor from `first` on close-on-exec (`close_range`).
pub fn close_on_exec_from(first: u32) -> rustix::io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: closes nothing now; descriptors stay valid until exec.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    match result {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Closes every descriptor from `first` on, but for those of `keep`.
///
/// # Safety
/// Nothing of this process may use a closed descriptor any more: for a forked
/// child that will only exec or exit.
pub unsafe fn close_all_but(first: u32, keep: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;
    let mut kept: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
        .filter(|number| *number >= first)
        .collect();
    kept.sort_unstable();
    let mut from = first;
    for end in kept.into_iter().chain([u32::MAX]) {
        // An empty range is an error to the kernel; the last one is never empty.
        if from < end {
            // SAFETY: the caller's promise.
            let result = unsafe { libc::syscall(libc::SYS_close_range, from, end - 1, 0) };
            if result == -1 {
                return Err(last_errno());
            }
        }
        from = end.saturating_add(1);
    }
    Ok(())
}

/// Leaves namespaces of these kinds for new ones, in this thread.
pub fn unshare(kinds: CloneFlags) -> rustix::io::Result<()> {
    // SAFETY: namespaces share no memory and no descriptors; CLONE_FILES and the
    // like are not among the flags that CloneFlags names.
    match unsafe { libc::unshare(kinds.0 as libc::c_int) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Puts a descriptor at the place of standard input (0), output (1) or error (2).
pub fn replace_standard(fd: BorrowedFd<'_>, number: u8) -> rustix::io::Result<()> {
    match number {
        0 => rustix::stdio::dup2_stdin(fd),
        1 => rustix::stdio::dup2_stdout(fd),
        _ => rustix::stdio::dup2_stderr(fd),
    }
}
