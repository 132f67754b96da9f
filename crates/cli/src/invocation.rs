//! What the binary hands over, and the way from it to an exit code.

use std::path::Path;

/// Starts a daemon for a command that found none on the default socket.
///
/// It must return at once: the command line itself waits until the daemon
/// answers. The value names the log file whose tail is shown when it does not.
pub type Bootstrap = fn(socket: &Path) -> Result<Option<std::path::PathBuf>, String>;

/// One call of the command line.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The arguments after the program's name.
    pub args: Vec<String>,
    /// The name to print in messages and usage lines: `gantry` or `docker`.
    pub program: String,
    /// How to start a daemon when none answers; `None` never starts one.
    pub bootstrap: Option<Bootstrap>,
}

/// Runs one command line to its exit code. Prints to standard output and error.
pub fn main(invocation: Invocation) -> i32 {
    let _ = invocation;
    125
}
