//! Why a container did not start, in Docker's words. The shim reports data (a
//! step, an errno, a path); clients derive their exit code from the text made
//! of it here, so it must read as Docker's does.

use std::collections::BTreeMap;

use gantry_runtime::{StartError, Step, errno_text};
use gantry_shim::protocol::StartFailure;
use gantry_types::ErrorKind;

use super::record::Record;
use crate::error::Error;

/// What Docker puts before everything its runtime reports.
const RUNTIME: &str = "failed to create task for container: failed to create shim task: OCI \
                       runtime create failed: runc create failed: ";
/// And before what failed inside the container.
const INIT: &str = "unable to start container process: error during container init: ";

/// What is added where a directory meets a file.
const MISMATCH: &str = "Are you trying to mount a directory onto a file (or vice-versa)? Check if \
                        the specified host path exists and is the expected type";

/// The container was not even made.
const NOT_STARTED: i32 = 128;
/// The program cannot be executed.
pub(crate) const NOT_EXECUTABLE: i32 = 126;
/// The program, or a path it needs, is not there.
pub(crate) const NOT_FOUND: i32 = 127;

/// What Docker puts before a limit that the kernel refuses.
const LIMIT: &str = "error setting cgroup config for procHooks process: ";

/// The error of a shim's report on a container.
pub(crate) fn render(failure: &StartFailure, record: &Record) -> Error {
    let sysctls = record.host_config.sysctls.as_ref();
    match (failure.runtime_error(), failure) {
        (Some(error), _) => of_runtime(&error, sysctls),
        (None, StartFailure::Cgroup { message, .. }) => Error::Start {
            message: format!("{RUNTIME}{INIT}{LIMIT}{message}"),
            exit_code: NOT_STARTED,
            kind: failure.kind(),
        },
        (None, _) => Error::Start {
            message: format!("failed to create task for container: {failure}"),
            exit_code: NOT_STARTED,
            kind: failure.kind(),
        },
    }
}

type Sysctls = BTreeMap<String, String>;

fn of_runtime(error: &StartError, sysctls: Option<&Sysctls>) -> Error {
    let (message, exit_code) = match error.step {
        Step::Lookup | Step::Exec => (
            format!("{RUNTIME}{INIT}{}", program(error)),
            program_exit_code(error),
        ),
        Step::Mount | Step::MountPoint if error.errno == libc::ENOTDIR => {
            (format!("{RUNTIME}{INIT}{error}: {MISMATCH}"), NOT_FOUND)
        }
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
        Step::Rlimit => (format!("{RUNTIME}{INIT}{}", rlimit(error)), NOT_STARTED),
        Step::Sysctl => with_code(format!("{RUNTIME}{INIT}{}", sysctl(error, sysctls))),
        _ => with_code(format!("{RUNTIME}{INIT}{error}")),
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

/// The code that Docker reads out of the text of everything it has no rule for.
fn with_code(message: String) -> (String, i32) {
    let code = match message.as_str() {
        text if text.contains("no such file or directory") => NOT_FOUND,
        text if text.contains("permission denied") => NOT_EXECUTABLE,
        _ => NOT_STARTED,
    };
    (message, code)
}

fn rlimit(error: &StartError) -> String {
    // In the order of the kernel's numbers.
    let names = [
        "Cpu",
        "Fsize",
        "Data",
        "Stack",
        "Core",
        "Rss",
        "Nproc",
        "Nofile",
        "Memlock",
        "As",
        "Locks",
        "Sigpending",
        "Msgqueue",
        "Nice",
        "Rtprio",
        "Rttime",
    ];
    let number = names.iter().position(|name| *name == error.path);
    let number = number.map_or_else(|| error.path.clone(), |number| number.to_string());
    let why = errno_text(error.errno);
    format!("error setting rlimits for ready process: error setting rlimit type {number}: {why}")
}

fn sysctl(error: &StartError, given: Option<&Sysctls>) -> String {
    let (name, why) = (&error.path, errno_text(error.errno));
    let path = name.replace('.', "/");
    if error.errno == libc::ENOENT {
        return format!(
            "open sysctl {name} file: unsafe procfs detected: openat2 \
             fsmount:fscontext:proc/./sys/{path}: {why}"
        );
    }
    let value = given.and_then(|given| given.get(name));
    let value = value.map_or("", String::as_str);
    format!(
        "failed to write sysctl {name} = \"{value}\": write \
         fsmount:fscontext:proc/./sys/{path}: {why}"
    )
}

/// What went wrong, without who says so.
pub(crate) fn without_runtime(message: &str) -> &str {
    message.strip_prefix(RUNTIME).unwrap_or(message)
}

/// Why a program could not be executed.
pub(crate) fn program(error: &StartError) -> String {
    let name = &error.path;
    if error.errno == libc::EISDIR {
        return format!("exec: \"{name}\": is a directory: permission denied");
    }
    if error.errno == libc::ENOTDIR {
        return format!("exec: \"{name}\": stat {name}: not a directory: {MISMATCH}");
    }
    if name.is_empty() {
        return "exec: \"\": executable file not found in $PATH".to_owned();
    }
    error.to_string()
}

/// The exit code that tells of it.
pub(crate) fn program_exit_code(error: &StartError) -> i32 {
    match error.is_not_found() || error.path.is_empty() || error.errno == libc::ENOTDIR {
        true => NOT_FOUND,
        false => NOT_EXECUTABLE,
    }
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
            source: "/tmp".to_owned(),
            detail: detail.to_owned(),
        };
        let sysctls = BTreeMap::from([("kernel.msgmax".to_owned(), "x".to_owned())]);
        let Error::Start {
            message,
            exit_code,
            kind,
        } = of_runtime(&error, Some(&sysctls))
        else {
            panic!("another error");
        };
        let short = message.strip_prefix(&format!("{RUNTIME}{INIT}"));
        (short.unwrap_or(&message).to_owned(), exit_code, kind)
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
            (
                Step::Rlimit,
                libc::EPERM,
                "Nproc",
                "",
                "error setting rlimits for ready process: error setting rlimit type 6: operation not permitted",
                128,
                Internal,
            ),
            (
                Step::Sysctl,
                libc::EINVAL,
                "kernel.msgmax",
                "",
                "failed to write sysctl kernel.msgmax = \"x\": write fsmount:fscontext:proc/./sys/kernel/msgmax: invalid argument",
                128,
                Internal,
            ),
            (
                Step::Sysctl,
                libc::ENOENT,
                "net.foo",
                "",
                "open sysctl net.foo file: unsafe procfs detected: openat2 fsmount:fscontext:proc/./sys/net/foo: no such file or directory",
                127,
                InvalidArgument,
            ),
        ] {
            assert_eq!(
                rendered(step, errno, path, detail),
                (text.to_owned(), code, kind)
            );
        }
        let (text, code, _) = rendered(Step::Mount, libc::ENOTDIR, "/etc/passwd", "");
        assert!(text.starts_with("error mounting \"/tmp\" to rootfs at \"/etc/passwd\": "));
        assert!(text.contains("not a directory: Are you trying to mount a directory onto a file"));
        assert_eq!(code, 127);
    }
}
