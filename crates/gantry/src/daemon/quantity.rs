//! Values that are more than a word: sizes, durations, limits, address pools.

use std::time::Duration;

use serde_json::{Value, json};

/// Reads `64m`, `64MiB`, `1.5g` or a number of bytes; units are binary, as in
/// Docker.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_lowercase();
    let invalid = || format!("invalid size: {text:?}");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().trim_end_matches('b').trim_end_matches('i');
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(invalid()),
    };
    let number: f64 = number.parse().map_err(|_| invalid())?;
    Ok((number * (1u64 << shift) as f64) as u64)
}

/// Reads `5m`, `1h30m`, `90s`, `500ms` or a number of seconds; 0 is 0.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration: {text:?}");
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(invalid)?;
        let (number, tail) = rest.split_at(end);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(invalid()),
        };
        let part = number.checked_mul(millis).ok_or_else(invalid)?;
        total = total.saturating_add(Duration::from_millis(part));
        rest = tail;
    }
    if text.is_empty() {
        return Err(invalid());
    }
    Ok(total)
}

/// Reads `name=soft[:hard]` to the form that `daemon.json` has.
pub(super) fn ulimit(text: &str) -> Result<(String, Value), String> {
    let invalid = || "expected name=soft[:hard]".to_owned();
    let (name, limits) = text.split_once('=').ok_or_else(invalid)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| text.parse::<i64>().map_err(|_| invalid());
    let limit = json!({"Name": name, "Soft": number(soft)?, "Hard": number(hard)?});
    Ok((name.to_owned(), limit))
}

/// Reads `base=CIDR,size=BITS` to the form that `daemon.json` has.
pub(super) fn pool(text: &str) -> Result<Value, String> {
    let (mut base, mut size) = (None, None);
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("base", value)) => base = Some(value.to_owned()),
            Some(("size", value)) => size = value.parse::<u8>().ok(),
            _ => return Err(format!("invalid field {field:?}")),
        }
    }
    match (base, size) {
        (Some(base), Some(size)) => Ok(json!({"base": base, "size": size})),
        _ => Err("expected base=CIDR,size=BITS".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, wanted) in [
            ("64m", 64 << 20),
            ("64MiB", 64 << 20),
            ("64MB", 64 << 20),
            ("1.5g", 3 << 29),
            ("123", 123),
            ("1 kb", 1024),
        ] {
            assert_eq!(bytes(text).unwrap(), wanted, "{text}");
        }
        for bad in ["", "m", "1x", "-1", "1.2.3m"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("5m", 300),
            ("1h30m", 5400),
            ("90", 90),
            ("0", 0),
            ("2s", 2),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_secs(seconds),
                "{text}"
            );
        }
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        for bad in ["", "x", "5", "5d", "m5"].into_iter().filter(|t| *t != "5") {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_and_pools() {
        let (name, limit) = ulimit("nofile=10:20").unwrap();
        assert_eq!(name, "nofile");
        assert_eq!(limit, json!({"Name": "nofile", "Soft": 10, "Hard": 20}));
        assert!(ulimit("nofile").is_err());
        let pool = pool("base=10.0.0.0/8,size=24").unwrap();
        assert_eq!(pool, json!({"base": "10.0.0.0/8", "size": 24}));
        assert!(super::pool("base=10.0.0.0/8").is_err());
    }
}
