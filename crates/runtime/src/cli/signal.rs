//! Signals as people write them.

use super::error::{Error, Result};

/// Signals by name, `SIG` or not, or number.
pub(super) fn number(text: &str) -> Result<i32> {
    const NAMES: [(&str, i32); 31] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("STKFLT", 16),
        ("CHLD", 17),
        ("CONT", 18),
        ("STOP", 19),
        ("TSTP", 20),
        ("TTIN", 21),
        ("TTOU", 22),
        ("URG", 23),
        ("XCPU", 24),
        ("XFSZ", 25),
        ("VTALRM", 26),
        ("PROF", 27),
        ("WINCH", 28),
        ("IO", 29),
        ("PWR", 30),
        ("SYS", 31),
    ];
    let unknown = || Error::Usage(format!("unknown signal {text:?}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=64).contains(&number) {
            Ok(number)
        } else {
            Err(unknown())
        };
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, from: i32, sign: i32| {
        let offset: i32 = bare.strip_prefix(prefix)?.parse().ok()?;
        (0..=30)
            .contains(&offset.abs())
            .then_some(from + sign * offset.abs())
    };
    let known = NAMES
        .iter()
        .find(|(name, _)| *name == bare)
        .map(|(_, number)| *number);
    let special = match bare {
        "RTMIN" => Some(34),
        "RTMAX" => Some(64),
        _ => real_time("RTMIN+", 34, 1).or_else(|| real_time("RTMAX-", 64, -1)),
    };
    known.or(special).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_any_name() {
        for (text, wanted) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGterm", 15),
            ("0", 0),
            ("RTMIN+1", 35),
            ("SIGRTMAX-2", 62),
        ] {
            assert_eq!(number(text).unwrap(), wanted);
        }
        for text in ["", "NOPE", "99", "-1", "RTMIN+99"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
