//! A small process that runs commands and times them.
//!
//! It lives where a contender lives (its cgroup; for the peers, their mount
//! namespace), so that nothing but the command is measured: no `nsenter`, no
//! shell. It is small because a child's peak memory counts what its parent had.
//!
//! ```text
//! bench ──{"words", "output"}──▶ worker ──posix_spawn──▶ command
//!       ◀──{"wall", "peak", "error"}── wait4
//! ```

mod serve;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

pub use serve::serve;

/// The first argument that makes the bench a worker.
pub const ARGUMENT: &str = "--worker";

/// A command to run.
#[derive(Serialize, Deserialize)]
struct Task {
    words: Vec<String>,
    /// Where its standard output goes; nowhere if there is none.
    output: Option<String>,
}

/// How that went.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// Nanoseconds from before the start to after the end.
    pub wall: u64,
    /// The most memory that one process had, in bytes.
    pub peak: u64,
    /// Why it failed.
    error: Option<String>,
}

/// A running worker.
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one; `wrap` makes the words that start it where it is to live.
    pub fn start(wrap: impl FnOnce(Vec<String>) -> Vec<String>) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("current_exe: {error}"))?;
        let words = wrap(vec![own.display().to_string(), ARGUMENT.to_owned()]);
        let (program, args) = words.split_first().ok_or("an empty command")?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            child,
            input,
            output: BufReader::new(output.ok_or("a worker without output")?),
        })
    }

    /// Runs a command, its output thrown away.
    pub fn run(&mut self, words: &[String]) -> Result<Done, String> {
        self.run_into(words, None)
    }

    /// Runs a command, its output in a file.
    pub fn run_into(&mut self, words: &[String], output: Option<&Path>) -> Result<Done, String> {
        let task = Task {
            words: words.to_vec(),
            output: output.map(|path| path.display().to_string()),
        };
        let mut line = serde_json::to_string(&task).map_err(|error| error.to_string())?;
        line.push('\n');
        let input = self.input.as_mut().ok_or("a worker without input")?;
        let written = input.write_all(line.as_bytes());
        written.map_err(|error| format!("worker: {error}"))?;
        let mut answer = String::new();
        let read = self.output.read_line(&mut answer);
        if read.map_err(|error| format!("worker: {error}"))? == 0 {
            let ended = self.child.wait();
            return Err(format!(
                "the worker has ended ({ended:?}) at: {}",
                words.join(" ")
            ));
        }
        let done: Done =
            serde_json::from_str(&answer).map_err(|error| format!("worker: {error}"))?;
        match done.error {
            None => Ok(done),
            Some(error) => Err(format!("{}: {error}", words.join(" "))),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
