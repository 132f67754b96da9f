//! Signals by name or number, as `kill`, `stop` and `STOPSIGNAL` give them.

/// The highest signal number of Linux.
const SIGRTMAX: i32 = 64;
const SIGRTMIN: i32 = 34;

const NAMES: [(&str, i32); 36] = [
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("BUS", libc::SIGBUS),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("FPE", libc::SIGFPE),
    ("HUP", libc::SIGHUP),
    ("ILL", libc::SIGILL),
    ("INT", libc::SIGINT),
    ("IO", libc::SIGIO),
    ("IOT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("PIPE", libc::SIGPIPE),
    ("POLL", libc::SIGIO),
    ("PROF", libc::SIGPROF),
    ("PWR", libc::SIGPWR),
    ("QUIT", libc::SIGQUIT),
    ("SEGV", libc::SIGSEGV),
    ("STKFLT", libc::SIGSTKFLT),
    ("STOP", libc::SIGSTOP),
    ("SYS", libc::SIGSYS),
    ("TERM", libc::SIGTERM),
    ("TRAP", libc::SIGTRAP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("VTALRM", libc::SIGVTALRM),
    ("WINCH", libc::SIGWINCH),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("RTMIN", SIGRTMIN),
    ("RTMAX", SIGRTMAX),
];

/// Why a text is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignalError {
    #[error("invalid signal: {0}")]
    Unknown(String),
    #[error("the linux daemon does not support signal {0}")]
    OutOfRange(i32),
}

/// The number of the signal that `text` names: `9`, `KILL`, `sigkill`,
/// `RTMIN+3`, `RTMAX-1`.
pub(crate) fn parse(text: &str) -> Result<i32, SignalError> {
    let unknown = || SignalError::Unknown(text.to_owned());
    if let Ok(number) = text.parse::<i32>() {
        return match number {
            1..=SIGRTMAX => Ok(number),
            0 => Err(unknown()),
            other => Err(SignalError::OutOfRange(other)),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let offset = |digits: &str| digits.parse::<i32>().ok().filter(|n| (1..=15).contains(n));
    let from_min = name.strip_prefix("RTMIN+").and_then(offset);
    let from_max = name.strip_prefix("RTMAX-").and_then(offset);
    match (from_min, from_max) {
        (Some(offset), _) => Ok(SIGRTMIN + offset),
        (_, Some(offset)) => Ok(SIGRTMAX - offset),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("sigterm", 15),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("64", 64),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for (text, message) in [
            ("FOO", "invalid signal: FOO"),
            ("0", "invalid signal: 0"),
            ("", "invalid signal: "),
            ("99", "the linux daemon does not support signal 99"),
            ("RTMIN+99", "invalid signal: RTMIN+99"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
