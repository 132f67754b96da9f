//! The one way to standard output and standard error.
//!
//! A reader that went away (`gantry ps | head -1`) is no error: the rest is
//! dropped.

use std::io::{IsTerminal, Write};

/// Prints a command's results and messages.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Printer;

impl Printer {
    /// Text for standard output, as it is.
    pub(crate) fn out(self, text: &str) {
        self.out_bytes(text.as_bytes());
    }

    /// A line for standard output.
    pub(crate) fn line(self, text: &str) {
        let mut line = String::with_capacity(text.len() + 1);
        line.push_str(text);
        line.push('\n');
        self.out(&line);
    }

    /// Bytes for standard output, flushed.
    pub(crate) fn out_bytes(self, bytes: &[u8]) {
        self.try_out_bytes(bytes);
    }

    /// The same; whether they were written.
    pub(crate) fn try_out_bytes(self, bytes: &[u8]) -> bool {
        let mut stream = std::io::stdout().lock();
        stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .is_ok()
    }

    /// Bytes for standard error.
    pub(crate) fn error_bytes(self, bytes: &[u8]) {
        let _ = std::io::stderr().lock().write_all(bytes);
    }

    /// A line for standard error.
    pub(crate) fn error_line(self, text: &str) {
        let mut line = String::with_capacity(text.len() + 1);
        line.push_str(text);
        line.push('\n');
        self.error_bytes(line.as_bytes());
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        std::io::stdout().is_terminal()
    }
}
