//! The master side of a container's terminal: given away over a socket, or
//! joined with our own terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios};

use super::error::{Error, Result};

/// What the receiver is told the descriptor is, as runc says it.
const NAME: &[u8] = b"/dev/ptmx";

/// A connection to `--console-socket`.
pub(super) fn connect(path: &str) -> Result<UnixStream> {
    let path = Path::new(path);
    UnixStream::connect(path).map_err(Error::file("connect", path))
}

/// Gives the master side away.
pub(super) fn send(socket: &UnixStream, master: BorrowedFd<'_>) -> Result<()> {
    gantry_sys::send_with_fds(socket, NAME, &[master])
        .map(drop)
        .map_err(|e| Error::file("send", Path::new("console socket"))(e.into()))
}

/// Gives a handle of a process away, with a word of which kind it is.
pub(super) fn send_pidfd(socket: &UnixStream, pidfd: BorrowedFd<'_>, kind: &str) -> Result<()> {
    gantry_sys::send_with_fds(socket, kind.as_bytes(), &[pidfd])
        .map(drop)
        .map_err(|e| Error::file("send", Path::new("pidfd socket"))(e.into()))
}

/// Our own terminal in raw mode; as it was when this is dropped.
pub(super) struct RawTerminal(Option<Termios>);

impl RawTerminal {
    /// Without a terminal at standard input nothing happens.
    pub(super) fn enter() -> Self {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = rustix::termios::tcgetattr(stdin) else {
            return Self(None);
        };
        let mut raw = before.clone();
        raw.make_raw();
        let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Now, &raw);
        Self(Some(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let stdin = rustix::stdio::stdin();
            let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Now, before);
        }
    }
}

/// The size of our own terminal.
pub(super) fn own_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdin()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// Gives the container's terminal the size of ours.
pub(super) fn copy_size(master: &OwnedFd) {
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// Moves what is there from one to the other; false at the end.
pub(super) fn relay(from: impl AsFd, to: impl AsFd) -> bool {
    let mut buffer = [0; 8192];
    let count = match rustix::io::read(&from, &mut buffer) {
        // The last holder of a terminal's slave side is gone: EIO is its end.
        Ok(0) | Err(Errno::IO) => return false,
        Ok(count) => count,
        Err(Errno::INTR | Errno::AGAIN) => return true,
        Err(_) => return false,
    };
    let mut left = &buffer[..count];
    while !left.is_empty() {
        match rustix::io::write(&to, left) {
            Ok(written) => left = &left[written..],
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}
