//! The worker's side: commands come in as lines, answers go out as lines.

use std::fs::File;
use std::io::{BufRead, Read, Seek, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use gantry_sys::ExitStatus;

use super::{Done, Task};

/// How much of a failed command's words is passed on.
const ERROR_LIMIT: u64 = 4096;

/// Serves until the input ends.
pub fn serve() -> ExitCode {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let done = serde_json::from_str(&line)
            .map_err(|error| error.to_string())
            .and_then(|task| run(&task))
            .unwrap_or_else(|error| Done {
                wall: 0,
                peak: 0,
                error: Some(error),
            });
        let Ok(text) = serde_json::to_string(&done) else {
            break;
        };
        if writeln!(output, "{text}")
            .and_then(|()| output.flush())
            .is_err()
        {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn run(task: &Task) -> Result<Done, String> {
    let fail = |error: std::io::Error| error.to_string();
    let (program, args) = task.words.split_first().ok_or("an empty command")?;
    let output = match &task.output {
        Some(path) => Stdio::from(File::create(path).map_err(fail)?),
        None => Stdio::null(),
    };
    let mut errors = tempfile::tempfile_in("/var/tmp").map_err(fail)?;
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors.try_clone().map_err(fail)?);
    let begun = Instant::now();
    let child = command.spawn().map_err(fail)?;
    let (status, usage) =
        gantry_sys::wait_with_usage(child.id()).map_err(|errno| errno.to_string())?;
    let wall = begun.elapsed();
    let error = match status {
        ExitStatus::Exited(0) => None,
        other => {
            let mut words = String::new();
            errors.rewind().map_err(fail)?;
            let _ = errors.take(ERROR_LIMIT).read_to_string(&mut words);
            Some(format!("{other:?}: {words}"))
        }
    };
    Ok(Done {
        wall: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        peak: usage.peak_memory,
        error,
    })
}
