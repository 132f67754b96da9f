//! Exit codes, in one place: 125 for the daemon and for wrong flags, 126 for a
//! command that cannot be executed, 127 for one that is not there, 1 for the
//! rest.

use crate::error::Error;

/// Wrong flags, and failures of the daemon in `run`.
pub(crate) const DAEMON: i32 = 125;
const CANNOT_EXECUTE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// The code of a failed command other than `run`.
pub(crate) fn of(error: &Error) -> i32 {
    match error {
        Error::Status { code, .. } => *code,
        _ => 1,
    }
}

/// The code of a `run` that failed before its process ran. The daemon's API
/// has no field for the step that failed, so its words decide, as in Docker.
pub(crate) fn of_run(error: &Error) -> i32 {
    let text = match error {
        Error::Status { code, .. } => return *code,
        Error::Daemon { message, .. } => message,
        _ => return DAEMON,
    };
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["executable file not found", "no such file or directory"]) {
        NOT_FOUND
    } else if has(&["permission denied", "is a directory"]) {
        CANNOT_EXECUTE
    } else {
        DAEMON
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide_in_run() {
        let daemon = |message: &str| Error::Daemon {
            status: 400,
            message: message.to_owned(),
        };
        let table = [
            ("exec: \"nope\": executable file not found in $PATH", 127),
            ("exec: \"/tmp\": is a directory: permission denied", 126),
            ("no such image", 125),
        ];
        for (message, code) in table {
            assert_eq!(of_run(&daemon(message)), code);
            assert_eq!(of(&daemon(message)), 1);
        }
    }
}
