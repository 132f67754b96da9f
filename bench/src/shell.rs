//! Running programs to their end.

use std::process::{Command, Stdio};

/// Runs `words` without streams; not zero is an error that names the command.
pub fn run(words: &[String]) -> Result<(), String> {
    let (program, args) = words.split_first().ok_or("an empty command")?;
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
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
