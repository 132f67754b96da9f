//! The user's terminal: raw mode that is always undone, and its size.

use std::io::{IsTerminal, stdin, stdout};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Standard input in raw mode; dropping it restores what was.
pub(crate) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Sets standard input to raw mode; `None` when it is no terminal.
    pub(crate) fn enter() -> Option<Self> {
        let input = stdin();
        if !input.is_terminal() {
            return None;
        }
        let before = tcgetattr(&input).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&input, OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows and columns of the terminal on standard output; zeros without one.
pub(crate) fn size() -> (u16, u16) {
    match tcgetwinsize(stdout()) {
        Ok(size) => (size.ws_row, size.ws_col),
        Err(_) => (0, 0),
    }
}
