//! What a command did, and comfortable ways to ask.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Exit code and output of a finished command.
#[derive(Debug)]
pub struct Outcome {
    /// The command, for messages.
    #[expect(
        dead_code,
        reason = "read by Debug, in the messages of failed assertions"
    )]
    text: String,
    /// The exit code; 128 + n after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Fails the test unless the command ended with `code`.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Fails the test unless standard error contains `words`.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(
            self.stderr.contains(words),
            "expected {words:?} in {self:#?}"
        );
        self
    }

    /// Fails the test unless standard output is exactly `text`.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "{self:#?}");
        self
    }

    /// Whether a build's step, by a part of its line, was in the cache.
    #[track_caller]
    pub fn was_known(&self, step: &str) -> bool {
        let mut lines = self.stderr.lines();
        let line = lines.find(|line| line.contains(step));
        let line = line.unwrap_or_else(|| panic!("no step {step}: {}", self.stderr));
        let number = line.split(' ').next().unwrap_or_default();
        self.stderr.contains(&format!("\n{number} CACHED\n"))
    }

    /// Standard output without the last newline.
    pub fn line(&self) -> String {
        self.stdout.trim_end().to_owned()
    }
}

/// A command with its arguments.
pub fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// A shell script.
pub fn script(text: &str) -> Command {
    command("sh", &["-c", text])
}

/// Runs the words of a line in the network of a process.
pub fn in_network_of(process: impl std::fmt::Display, line: &str) -> Outcome {
    let target = process.to_string();
    let mut words = vec!["-t", &target, "-n", "--"];
    words.extend(line.split(' '));
    finish(&mut command("nsenter", &words), b"")
}

/// Runs `command` to its end with `stdin`.
pub fn finish(command: &mut Command, stdin: &[u8]) -> Outcome {
    let text = format!("{command:?}");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {text}: {error}"));
    let mut pipe = child.stdin.take().expect("stdin is piped");
    let bytes = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that does not read its input is no failure of the test.
        let _ = pipe.write_all(&bytes);
    });
    let Output {
        status,
        stdout,
        stderr,
    } = child
        .wait_with_output()
        .expect("the command can be waited for");
    writer.join().expect("the writer does not panic");
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
    Outcome {
        text,
        code: status.code().unwrap_or(128 + signal),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}
