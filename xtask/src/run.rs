//! Running other programs, and speaking to the developer.

use std::fmt;
use std::process::Command;

/// Why a task did not succeed, in words for the developer.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints one line for the developer.
#[expect(clippy::print_stderr, reason = "the one place where tasks speak")]
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// Runs `command` with inherited streams; not zero is a failure that names it.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    say(&format!("$ {}", text(command)));
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("cannot run {}: {error}", text(command))))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{}: {status}", text(command))))
    }
}

/// The standard output of `command`; not zero is a failure that names it.
pub fn capture(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .output()
        .map_err(|error| Failure::new(format!("cannot run {}: {error}", text(command))))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure::new(format!(
            "{}: {}: {words}",
            text(command),
            output.status
        )))
    }
}

/// `cargo`, the one that runs this task.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::tree::root());
    command
}

/// Whether a program of this name is on the `PATH`.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn text(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    words.join(" ")
}
