//! Running a program to its end, untimed.

use std::process::{Command, Stdio};

/// Runs `words` without streams; not zero is an error that names the command.
pub fn run<S: AsRef<str>>(words: &[S]) -> Result<(), String> {
    let (program, args) = words.split_first().ok_or("an empty command")?;
    let output = Command::new(program.as_ref())
        .args(args.iter().map(AsRef::as_ref))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("{}: {error}", program.as_ref()))?;
    if output.status.success() {
        return Ok(());
    }
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    Err(format!(
        "{}: {}: {}",
        words.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// `words` as owned strings.
pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
