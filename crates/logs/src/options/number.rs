//! Numbers, switches and durations as Go reads them, with its complaints.

use std::time::Duration;

use super::invalid;
use crate::error::Result;

/// `strconv.Atoi`.
pub(super) fn integer(text: &str) -> Result<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    parsed("Atoi", text, digits)
}

/// `strconv.ParseUint`.
pub(super) fn unsigned(text: &str) -> Result<u64> {
    parsed("ParseUint", text, text)
}

fn parsed<T: std::str::FromStr>(function: &str, text: &str, digits: &str) -> Result<T> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(format!(
            "strconv.{function}: parsing {text:?}: invalid syntax"
        )));
    }
    text.parse().map_err(|_| {
        invalid(format!(
            "strconv.{function}: parsing {text:?}: value out of range"
        ))
    })
}

/// `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(invalid(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        ))),
    }
}

/// `units.RAMInBytes`: like a size, in powers of 1024.
pub(super) fn memory(text: &str) -> std::result::Result<u64, String> {
    let decimal = crate::size::parse_size(text)?;
    let unit = text.trim_end_matches(['b', 'B', 'i', 'I']);
    let power = match unit.bytes().last().map(|byte| byte.to_ascii_lowercase()) {
        Some(b'k') => 1,
        Some(b'm') => 2,
        Some(b'g') => 3,
        Some(b't') => 4,
        Some(b'p') => 5,
        _ => 0,
    };
    let factor = (1024f64 / 1000f64).powi(power);
    Ok((decimal as f64 * factor).round() as u64)
}

/// `time.ParseDuration`: `1h2m3.5s`, `100ms`; `None` for a negative one.
pub(super) fn duration(text: &str) -> Result<Option<Duration>> {
    let bad = || invalid(format!("time: invalid duration {text:?}"));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Some(Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut nanos = 0f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| bad())?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let factor = match unit {
            "" => {
                return Err(invalid(format!("time: missing unit in duration {text:?}")));
            }
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            unit => {
                return Err(invalid(format!(
                    "time: unknown unit {unit:?} in duration {text:?}"
                )));
            }
        };
        nanos += number * factor;
        rest = tail;
    }
    // As many as Go counts; more would be an overflow there.
    if nanos > i64::MAX as f64 {
        return Err(bad());
    }
    Ok((!negative).then(|| Duration::from_nanos(nanos as u64)))
}

/// A duration as Go prints it.
pub(super) fn spelled(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let fraction = |number: f64| {
        let text = format!("{number:.9}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let rest = duration.as_secs_f64() - (seconds / 60 * 60) as f64;
    match (seconds / 3600, seconds / 60 % 60) {
        _ if seconds == 0 && duration.as_micros() == 0 => match duration.as_nanos() {
            0 => "0s".to_owned(),
            nanos => format!("{nanos}ns"),
        },
        _ if seconds == 0 && duration.as_millis() == 0 => {
            format!("{}µs", fraction(duration.as_nanos() as f64 / 1e3))
        }
        _ if seconds == 0 => format!("{}ms", fraction(duration.as_nanos() as f64 / 1e6)),
        (0, 0) => format!("{}s", fraction(rest)),
        (0, minutes) => format!("{minutes}m{}s", fraction(rest)),
        (hours, minutes) => format!("{hours}h{minutes}m{}s", fraction(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, millis, again) in [
            ("1s", 1000, "1s"),
            ("1.5s", 1500, "1.5s"),
            ("5m", 300_000, "5m0s"),
            ("1h2m3s", 3_723_000, "1h2m3s"),
            ("50ms", 50, "50ms"),
            ("0", 0, "0s"),
        ] {
            let duration = duration(text).unwrap().unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(spelled(duration), again);
        }
        assert_eq!(duration("-1s").unwrap(), None);
        for (text, words) in [
            ("x", "time: invalid duration \"x\""),
            ("", "time: invalid duration \"\""),
            ("1", "time: missing unit in duration \"1\""),
            ("1x", "time: unknown unit \"x\" in duration \"1x\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
        ] {
            assert_eq!(duration(text).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn memory_is_binary() {
        for (text, bytes) in [
            ("1m", 1 << 20),
            ("1.5k", 1536),
            ("10", 10),
            ("4KiB", 4096),
            ("2 gb", 2 << 30),
            ("7b", 7),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        assert_eq!(memory("x"), Err("invalid size: 'x'".to_owned()));
    }
}
