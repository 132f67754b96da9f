//! Making this process a monitor that nothing but SIGKILL ends.
#![allow(unsafe_code, reason = "the allocator's knobs and signal dispositions")]

use std::fs;
use std::io;

use rustix::fs::{Mode, OFlags};

/// Less likely to be killed for want of memory than any container.
const OOM_SCORE: &str = "-998";

/// Stack below the current frame's page that is left alone, and that is given back.
const STACK_KEPT: usize = 4 << 10;
const STACK_TRIMMED: usize = 512 << 10;

/// Before the first message: a session of its own, no signals, one heap.
/// Fails when descriptor 0 is not the daemon's socket.
pub(super) fn become_monitor() -> io::Result<()> {
    let kind =
        rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(rustix::stdio::stdin())?.st_mode);
    if kind != rustix::fs::FileType::Socket {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // The socket has been copied; what uses descriptor 0 by accident finds nothing.
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    drop(null);
    rustix::process::chdir("/")?;
    // Fails only for the leader of a group, which then needs none.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::thread::set_name(c"gantry-shim")?;
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGPIPE] {
        // SAFETY: ignoring a signal installs no handler. The runtime resets
        // dispositions in the container's process.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: plain numbers; called while there is one thread.
    unsafe {
        // One heap for all threads: the one thread of a start needs no own.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 10);
    }
    Ok(())
}

/// After the start: the container must not inherit this, so it comes late.
pub(super) fn protect() {
    // Refused in a user namespace; then the score is like anybody's.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
}

/// Gives back what the work so far has needed and waiting does not: unused heap
/// and stack, and the mapped pages of code, which stay in the page cache.
pub(super) fn rest() {
    gantry_sys::release_unused_heap();
    release_stack();
    gantry_sys::release_code_pages();
}

fn release_stack() {
    let here = 0u8;
    // SAFETY: a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let top = (&raw const here).addr() / page * page - STACK_KEPT;
    let bottom = (top - STACK_TRIMMED) as *mut libc::c_void;
    // SAFETY: the range lies below this function's frame with room to spare,
    // where the stack holds nothing, or where it has not grown to (the kernel
    // keeps a megabyte below a stack free of other mappings).
    unsafe { libc::madvise(bottom, STACK_TRIMMED, libc::MADV_DONTNEED) };
}
