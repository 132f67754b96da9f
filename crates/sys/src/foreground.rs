//! A program in the foreground of this process' terminal, and what its parent
//! needs to stand behind it.
#![allow(unsafe_code, reason = "fork, execvp and kill of a group")]

use std::ffi::CString;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::clone::last_errno;
use crate::signals::reset_signals;

/// Runs a program, looked for in `PATH`, in a process group of its own, which
/// becomes the foreground of the terminal at standard input if there is one.
/// Signals are as programs expect them. If it cannot be run, the child calls
/// `failed` and exits with its answer.
///
/// # Errors
/// `fork`'s. `INVAL` without a program.
pub fn spawn_foreground(
    command: &[CString],
    failed: impl FnOnce(Errno) -> i32,
) -> rustix::io::Result<Pid> {
    let Some(program) = command.first() else {
        return Err(Errno::INVAL);
    };
    let mut pointers: Vec<_> = command.iter().map(|text| text.as_ptr()).collect();
    pointers.push(std::ptr::null());
    ignore(libc::SIGTTOU);
    // SAFETY: the child allocates nothing and takes no lock before it executes
    // or calls `failed`; memory is its own copy.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => {
            // SAFETY: plain integers. A terminal that is not ours to take, or none,
            // is no reason not to run.
            unsafe {
                libc::setpgid(0, 0);
                libc::tcsetpgrp(0, libc::getpgrp());
            }
            reset_signals();
            // SAFETY: NUL-terminated strings in a null-terminated array that live
            // until the call returns, which it does only on failure.
            unsafe { libc::execvp(program.as_ptr(), pointers.as_ptr()) };
            let code = failed(last_errno());
            // SAFETY: takes an integer and does not return.
            unsafe { libc::_exit(code) }
        }
        pid => Pid::from_raw(pid).ok_or(Errno::SRCH),
    }
}

/// Ignores a signal, in this process and what it forks.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN runs no code; a number that cannot be ignored is refused.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Sends a signal by number to a process or, with `group`, to its whole group.
pub fn send_signal(pid: Pid, signal: i32, group: bool) -> rustix::io::Result<()> {
    let number = pid.as_raw_nonzero().get();
    // SAFETY: plain integers.
    match unsafe { libc::kill(if group { -number } else { number }, signal) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}
