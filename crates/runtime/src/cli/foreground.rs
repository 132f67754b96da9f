//! Waiting for a process in the foreground: its terminal is joined with ours,
//! and our signals become its.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::console::{self, RawTerminal};
use super::error::{Error, Result};
use crate::launch::Launched;

/// Signals that are passed on: all that can be caught, but those that tell
/// about ourselves (a child, a stop, a fault).
const FORWARDED: [i32; 14] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCONT,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGTSTP,
    libc::SIGWINCH,
];

/// Signals, blocked from before the start so that none is lost.
pub(super) struct Signals(OwnedFd);

impl Signals {
    pub(super) fn block() -> Result<Self> {
        gantry_sys::signal_fd(&FORWARDED)
            .map(Self)
            .map_err(|e| Error::State(format!("signalfd: {e}")))
    }

    /// The next pending one.
    fn next(&self) -> Option<i32> {
        let mut info = [0; 128];
        match rustix::io::read(&self.0, &mut info) {
            Ok(128) => Some(i32::from_ne_bytes([info[0], info[1], info[2], info[3]])),
            _ => None,
        }
    }
}

/// Waits; returns the exit code as shells count.
pub(super) fn attend(launched: &Launched, signals: &Signals) -> Result<i32> {
    let raw = launched.terminal.as_ref().map(|_| RawTerminal::enter());
    let mut input_open = launched.terminal.is_some();
    loop {
        let (ended, signal, output, input) = wait(launched, signals, input_open)?;
        if signal {
            forward(launched, signals);
        }
        if let Some(master) = &launched.terminal {
            if output {
                console::relay(master, rustix::stdio::stdout());
            }
            if input {
                input_open = console::relay(rustix::stdio::stdin(), master);
            }
        }
        if ended {
            break;
        }
    }
    if let Some(master) = &launched.terminal {
        drain(master);
    }
    drop(raw);
    let status = gantry_sys::wait_pidfd(&launched.pidfd, true)
        .map_err(|e| Error::State(format!("wait: {e}")))?;
    Ok(status.map_or(1, gantry_sys::ExitStatus::code))
}

/// What happened: the process ended, a signal, output, input.
fn wait(
    launched: &Launched,
    signals: &Signals,
    input_open: bool,
) -> Result<(bool, bool, bool, bool)> {
    let stdin = rustix::stdio::stdin();
    let mut fds = vec![
        PollFd::new(&launched.pidfd, PollFlags::IN),
        PollFd::new(&signals.0, PollFlags::IN),
    ];
    if let Some(master) = &launched.terminal {
        fds.push(PollFd::new(master, PollFlags::IN));
    }
    if input_open {
        fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
    }
    match poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(Error::State(format!("poll: {errno}"))),
    }
    let ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
    Ok((ready(0), ready(1), ready(2), ready(3)))
}

fn forward(launched: &Launched, signals: &Signals) {
    while let Some(signal) = signals.next() {
        match (&launched.terminal, signal) {
            (Some(master), libc::SIGWINCH) => console::copy_size(master),
            // It may have ended meanwhile.
            _ => drop(gantry_sys::pidfd_send_signal(&launched.pidfd, signal)),
        }
    }
}

/// What the terminal still holds after the process' end; never waits.
fn drain(master: &OwnedFd) {
    loop {
        let mut fds = [PollFd::from_borrowed_fd(master.as_fd(), PollFlags::IN)];
        let none = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let ready = poll(&mut fds, Some(&none)).is_ok_and(|count| count > 0);
        if !ready || !console::relay(master, rustix::stdio::stdout()) {
            return;
        }
    }
}
