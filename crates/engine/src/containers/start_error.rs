//! Why a container did not start, in Docker's words. The shim reports data (a
//! step, an errno, a path); clients derive their exit code from the text made
//! of it here, so it must read as Docker's does.

use gantry_api::MountPoint;
use gantry_runtime::{StartError, Step, errno_text};
use gantry_shim::protocol::StartFailure;
use gantry_types::ErrorKind;

use crate::error::Error;

/// What Docker puts before everything its runtime reports.
const RUNTIME: &str = "failed to create task for container: failed to create shim task: OCI \
                       runtime create failed: runc create failed: ";
/// And before what failed inside the container.
const INIT: &str = "unable to start container process: error during container init: ";

/// The container was not even made.
const NOT_STARTED: i32 = 128;
/// The program cannot be executed.
pub(crate) const NOT_EXECUTABLE: i32 = 126;
/// The program, or a path it needs, is not there.
pub(crate) const NOT_FOUND: i32 = 127;

/// The error of a shim's report on a container with these bind mounts.
pub(crate) fn render(failure: &StartFailure, mounts: &[MountPoint]) -> Error {
    match failure.runtime_error() {
        Some(error) => of_runtime(&error, mounts),
        None => Error::Start {
            message: format!("failed to create task for container: {failure}"),
            exit_code: NOT_STARTED,
            kind: failure.kind(),
        },
    }
}

fn of_runtime(error: &StartError, mounts: &[MountPoint]) -> Error {
    let (message, exit_code) = match error.step {
        Step::Lookup | Step::Exec => (
            format!("{RUNTIME}{INIT}{}", program(error)),
            program_exit_code(error),
        ),
        Step::Mount if error.errno == libc::ENOTDIR => (mismatch(error, mounts), NOT_FOUND),
        Step::User => (
            user(error).unwrap_or_else(|| format!("{RUNTIME}{INIT}{error}")),
            NOT_STARTED,
        ),
        Step::WorkingDirectory if error.errno == libc::ENOTDIR => {
            let path = &error.path;
            (
                format!("Cannot mkdir: {path} is not a directory"),
                NOT_STARTED,
            )
        }
        Step::Hostname => (
            format!("{RUNTIME}{INIT}sethostname: {}", errno_text(error.errno)),
            NOT_STARTED,
        ),
        Step::Spec if !error.detail.is_empty() => {
            (format!("{RUNTIME}{}", error.detail), NOT_STARTED)
        }
        Step::Spec | Step::Cgroup => (format!("{RUNTIME}{error}"), NOT_STARTED),
        _ => (format!("{RUNTIME}{INIT}{error}"), NOT_STARTED),
    };
    let kind = match exit_code {
        NOT_STARTED => ErrorKind::Internal,
        _ => ErrorKind::InvalidArgument,
    };
    Error::Start {
        message,
        exit_code,
        kind,
    }
}

/// Why a program could not be executed.
pub(crate) fn program(error: &StartError) -> String {
    let name = &error.path;
    if error.errno == libc::EISDIR {
        return format!("exec: \"{name}\": is a directory: permission denied");
    }
    if name.is_empty() {
        return "exec: \"\": executable file not found in $PATH".to_owned();
    }
    error.to_string()
}

/// The exit code that tells of it.
pub(crate) fn program_exit_code(error: &StartError) -> i32 {
    match error.is_not_found() || error.path.is_empty() {
        true => NOT_FOUND,
        false => NOT_EXECUTABLE,
    }
}

/// A directory onto a file, or the other way round.
fn mismatch(error: &StartError, mounts: &[MountPoint]) -> String {
    let target = &error.path;
    let mut mounts = mounts.iter();
    let source = mounts
        .find(|mount| mount.destination == *target)
        .map_or(error.detail.as_str(), |mount| &mount.source);
    format!(
        "{RUNTIME}{INIT}error mounting \"{source}\" to rootfs at \"{target}\": mount \
         src={source}, dst={target}: not a directory: Are you trying to mount a directory onto \
         a file (or vice-versa)? Check if the specified host path exists and is the expected type"
    )
}

/// Why there is no such user, if that is why.
pub(crate) fn user(error: &StartError) -> Option<String> {
    let name = &error.path;
    Some(match error.detail.as_str() {
        "passwd" => format!("unable to find user {name}: no matching entries in passwd file"),
        "group" => format!("unable to find group {name}: no matching entries in group file"),
        "range" => "uids and gids must be in range 0-2147483647".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(step: Step, errno: i32, path: &str, detail: &str) -> (String, i32, ErrorKind) {
        let error = StartError {
            step,
            errno,
            path: path.to_owned(),
            detail: detail.to_owned(),
        };
        let Error::Start {
            message,
            exit_code,
            kind,
        } = of_runtime(&error, &[mounted()])
        else {
            panic!("another error");
        };
        let short = message.strip_prefix(&format!("{RUNTIME}{INIT}"));
        (short.unwrap_or(&message).to_owned(), exit_code, kind)
    }

    fn mounted() -> MountPoint {
        MountPoint {
            source: "/tmp".to_owned(),
            destination: "/etc/passwd".to_owned(),
            ..MountPoint::default()
        }
    }

    #[test]
    fn texts_and_exit_codes_are_dockers() {
        use ErrorKind::{Internal, InvalidArgument};
        for (step, errno, path, detail, text, code, kind) in [
            (
                Step::Lookup,
                libc::ENOENT,
                "nonesuch",
                "",
                "exec: \"nonesuch\": executable file not found in $PATH",
                127,
                InvalidArgument,
            ),
            (
                Step::Lookup,
                libc::ENOENT,
                "/nonesuch",
                "",
                "exec: \"/nonesuch\": stat /nonesuch: no such file or directory",
                127,
                InvalidArgument,
            ),
            (
                Step::Lookup,
                libc::EACCES,
                "/etc/passwd",
                "",
                "exec: \"/etc/passwd\": permission denied",
                126,
                InvalidArgument,
            ),
            (
                Step::Lookup,
                libc::EISDIR,
                "/etc",
                "",
                "exec: \"/etc\": is a directory: permission denied",
                126,
                InvalidArgument,
            ),
            (
                Step::Lookup,
                libc::ENOENT,
                "",
                "",
                "exec: \"\": executable file not found in $PATH",
                127,
                InvalidArgument,
            ),
            (
                Step::User,
                0,
                "nobody",
                "passwd",
                "unable to find user nobody: no matching entries in passwd file",
                128,
                Internal,
            ),
            (
                Step::User,
                0,
                "x",
                "group",
                "unable to find group x: no matching entries in group file",
                128,
                Internal,
            ),
            (
                Step::Hostname,
                libc::EINVAL,
                "",
                "",
                "sethostname: invalid argument",
                128,
                Internal,
            ),
        ] {
            assert_eq!(
                rendered(step, errno, path, detail),
                (text.to_owned(), code, kind)
            );
        }
        let (text, code, _) = rendered(Step::Mount, libc::ENOTDIR, "/etc/passwd", "mkdir");
        assert!(text.starts_with("error mounting \"/tmp\" to rootfs at \"/etc/passwd\": "));
        assert!(text.contains("not a directory: Are you trying to mount a directory onto a file"));
        assert_eq!(code, 127);
    }
}
