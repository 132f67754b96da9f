//! Switches, sizes and times as users write them.

use std::time::Duration;

/// `true` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A size with an optional unit (k, m, g, t: powers of 1024).
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches('b');
    let shift = match digits.chars().last() {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        _ => 0,
    };
    let digits = digits.trim_end_matches(['k', 'm', 'g', 't']);
    let number: u64 = digits.parse().map_err(|_| "must be a size".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "is too large".to_owned())
}

/// A time with a unit (s, m, h, d); `0` needs none.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || "must be a time such as 30s, 10m, 24h or 7d".to_owned();
    let (end, unit) = text.char_indices().next_back().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..end].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).filter(|s| *s < 1 << 32);
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        assert_eq!(bytes("10k").unwrap(), 10 << 10);
        assert_eq!(bytes("3GB").unwrap(), 3 << 30);
        assert!(bytes("99999999999t").is_err() && bytes("").is_err());
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        assert!(duration("é").is_err() && duration("").is_err());
    }
}
