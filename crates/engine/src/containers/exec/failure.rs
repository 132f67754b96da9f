//! Why an exec did not start, in Docker's words.

use gantry_runtime::{StartError, Step};
use gantry_shim::client::Error as ShimError;
use gantry_shim::protocol::Refusal;
use gantry_types::{ContainerId, ErrorKind};

use super::super::start_error;
use crate::error::Error;

/// What Docker puts before everything its runtime reports.
const RUNTIME: &str = "OCI runtime exec failed: exec failed: ";
/// And before what failed inside the container.
const INIT: &str = "unable to start container process: ";
/// The process was not made.
const NOT_STARTED: i32 = 128;

/// The error of a shim's report.
pub(super) fn render(error: ShimError, container: &ContainerId) -> Error {
    match error {
        ShimError::Start(failure) => match failure.runtime_error() {
            // The container ended just then.
            Some(error) if error.step == Step::JoinNamespace && error.errno == libc::ESRCH => {
                Error::NotRunning(container.to_string())
            }
            Some(error) => of_runtime(&error),
            None => not_started(format!("{RUNTIME}{failure}"), failure.kind()),
        },
        ShimError::Refused(Refusal::NotRunning) | ShimError::Gone(_) => {
            Error::NotRunning(container.to_string())
        }
        ShimError::Refused(Refusal::Paused) => Error::Conflict(format!(
            "Container {container} is paused, unpause the container before exec"
        )),
        other => not_started(format!("{RUNTIME}{other}"), ErrorKind::Internal),
    }
}

/// The code that the exec has from now on.
pub(super) fn exit_code(error: &Error) -> i32 {
    match error {
        Error::Start { exit_code, .. } => *exit_code,
        _ => start_error::NOT_EXECUTABLE,
    }
}

pub(super) fn of_runtime(error: &StartError) -> Error {
    let started = |message: String, exit_code| Error::Start {
        message: format!("{RUNTIME}{INIT}{message}"),
        exit_code,
        kind: ErrorKind::InvalidArgument,
    };
    match (error.step, error.errno) {
        (Step::Lookup | Step::Exec, _) => started(
            start_error::program(error),
            start_error::program_exit_code(error),
        ),
        (Step::WorkingDirectory, libc::ENOTDIR) => started(
            format!(
                "{error}: Are you trying to mount a directory onto a file (or vice-versa)? \
                 Check if the specified host path exists and is the expected type"
            ),
            start_error::NOT_FOUND,
        ),
        (Step::WorkingDirectory, libc::ENOENT) => {
            started(error.to_string(), start_error::NOT_FOUND)
        }
        (Step::WorkingDirectory, libc::EACCES) => {
            started(error.to_string(), start_error::NOT_EXECUTABLE)
        }
        (Step::User, _) => Error::Invalid(
            start_error::user(error).unwrap_or_else(|| format!("{RUNTIME}{INIT}{error}")),
        ),
        (Step::Spec, _) if error.path == "process.cwd" => not_started(
            format!("{RUNTIME}Cwd must be an absolute path"),
            ErrorKind::Internal,
        ),
        _ => not_started(format!("{RUNTIME}{INIT}{error}"), ErrorKind::Internal),
    }
}

fn not_started(message: String, kind: ErrorKind) -> Error {
    Error::Start {
        message,
        exit_code: NOT_STARTED,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_codes_and_statuses_are_dockers() {
        use ErrorKind::{Internal, InvalidArgument};
        for (step, errno, path, detail, text, code, kind) in [
            (
                Step::Lookup,
                libc::ENOENT,
                "x",
                "",
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \
                 \"x\": executable file not found in $PATH",
                127,
                InvalidArgument,
            ),
            (
                Step::Lookup,
                libc::EACCES,
                "/etc/passwd",
                "",
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \
                 \"/etc/passwd\": permission denied",
                126,
                InvalidArgument,
            ),
            (
                Step::WorkingDirectory,
                libc::ENOENT,
                "/nonesuch",
                "",
                "OCI runtime exec failed: exec failed: unable to start container process: chdir \
                 to cwd (\"/nonesuch\") set in config.json failed: no such file or directory",
                127,
                InvalidArgument,
            ),
            (
                Step::Spec,
                0,
                "process.cwd",
                "must be an absolute path",
                "OCI runtime exec failed: exec failed: Cwd must be an absolute path",
                128,
                Internal,
            ),
            (
                Step::User,
                0,
                "bob",
                "passwd",
                "unable to find user bob: no matching entries in passwd file",
                126,
                InvalidArgument,
            ),
        ] {
            let error = of_runtime(&StartError {
                step,
                errno,
                path: path.to_owned(),
                source: String::new(),
                detail: detail.to_owned(),
            });
            assert_eq!(error.to_string(), text);
            assert_eq!((exit_code(&error), error.kind()), (code, kind), "{text}");
        }
    }
}
