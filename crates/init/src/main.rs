//! The first process of a container that was made with `--init`.
//!
//! A kernel does not deliver signals to a first process that has no handler for
//! them, and gives it all orphans to reap; programs are not made for that. This
//! one is: it runs the program as its child, in the foreground of the terminal
//! if there is one, passes every signal on to it, reaps whatever ends, and ends
//! as the child does: with its code, or 128 and the signal's number.
//!
//! `docker-init -- PROGRAM [ARGUMENT...]`. With `TINI_KILL_PROCESS_GROUP` in the
//! environment signals go to the program's whole process group. Messages and
//! codes are those of tini, which Docker uses here.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};

/// Signals that are about this process itself: its own faults, and its use of
/// the terminal.
const OWN: [i32; 9] = [
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// The largest signal number.
const LAST_SIGNAL: i32 = 64;

fn main() {
    std::process::exit(run());
}

fn run() -> i32 {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.peek().is_some_and(|word| word == "--version") {
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(std::io::stdout(), "docker-init version {version} - gantry");
        return 0;
    }
    let command: Result<Vec<CString>, _> = words
        .skip_while(|word| word == "--")
        .map(|word| CString::new(word.into_vec()))
        .collect();
    match command.map_err(|_| Errno::INVAL).and_then(|c| attend(&c)) {
        Ok(code) => code,
        Err(errno) => {
            complain(&format!("cannot run the program: {}", words_of(errno)));
            1
        }
    }
}

/// Runs the program; returns its exit code.
fn attend(command: &[CString]) -> rustix::io::Result<i32> {
    // Orphans come to the first process; to another one only if it asks.
    if rustix::process::getpid() != Pid::INIT {
        rustix::process::set_child_subreaper(Some(Pid::INIT))?;
    }
    let wanted: Vec<i32> = (1..=LAST_SIGNAL).filter(|s| !OWN.contains(s)).collect();
    // Before the program runs, so that none is lost.
    let signals = gantry_sys::signal_fd(&wanted)?;
    gantry_sys::ignore(libc::SIGTTIN);
    let child = gantry_sys::spawn_foreground(command, |errno| cannot_run(command, errno))?;
    let group = std::env::var_os("TINI_KILL_PROCESS_GROUP").is_some();
    loop {
        let signal = next(&signals)?;
        if signal != libc::SIGCHLD {
            // It may just have ended; then that is what comes next.
            let _ = gantry_sys::send_signal(child, signal, group);
        }
        if let Some(code) = reap(child) {
            return Ok(code);
        }
    }
}

/// Waits for a signal.
fn next(signals: &OwnedFd) -> rustix::io::Result<i32> {
    let mut info = [0; 128];
    loop {
        match rustix::io::read(signals, &mut info) {
            Ok(_) => return Ok(i32::from_ne_bytes([info[0], info[1], info[2], info[3]])),
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], None);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Reaps whoever has ended; the program's code if it was among them.
fn reap(child: Pid) -> Option<i32> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == child {
            let signal = status.terminating_signal();
            code = status.exit_status().or(signal.map(|signal| 128 + signal));
        }
    }
    code
}

/// In the child: says why, and with which code it ends.
fn cannot_run(command: &[CString], errno: Errno) -> i32 {
    let program = command.first().map(|word| word.to_string_lossy());
    let program = program.unwrap_or_default();
    complain(&format!("exec {program} failed: {}", words_of(errno)));
    match errno {
        Errno::NOENT => 127,
        Errno::ACCESS => 126,
        _ => 1,
    }
}

/// An errno in libc's words.
fn words_of(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.raw_os_error()).to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn complain(text: &str) {
    let pid = std::process::id();
    let _ = writeln!(std::io::stderr(), "[FATAL tini ({pid})] {text}");
}
