//! Sizes and durations, as flags and Dockerfiles spell them, with Go's complaints.

/// `64m`, `1.5GiB`, `1024`: bytes, always in powers of 1024.
///
/// # Errors
/// In Docker's words.
pub fn parse_size(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let end = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.')
        .map_or(0, |last| last + 1);
    let (number, suffix) = text.split_at(end);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let value: f64 = number.parse().map_err(|_| invalid())?;
    if !value.is_finite() || value < 0.0 || number.starts_with('+') {
        return Err(invalid());
    }
    let suffix = suffix.trim_start().to_lowercase();
    let mut letters = suffix.chars();
    let power = match letters.next() {
        None | Some('b') => 0,
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return Err(format!("invalid suffix: '{suffix}'")),
    };
    let rest: String = letters.collect();
    let accepted = match power {
        0 => rest.is_empty(),
        _ => matches!(rest.as_str(), "" | "b" | "ib"),
    };
    if !accepted {
        return Err(format!("invalid suffix: '{suffix}'"));
    }
    Ok((value * 1024f64.powi(power)) as i64)
}

/// Go's `time.ParseDuration`: nanoseconds.
///
/// # Errors
/// In Go's words.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, &text[1..]),
        Some(b'+') => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        total += number * unit;
        rest = &rest[end..];
    }
    let nanos = sign * total;
    if nanos.abs() >= i64::MAX as f64 {
        return Err(invalid());
    }
    Ok(nanos as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let table = [
            ("1024", Ok(1024)),
            ("64m", Ok(64 << 20)),
            ("64MB", Ok(64 << 20)),
            ("1.5GiB", Ok(3 << 29)),
            ("2 k", Ok(2048)),
            ("0", Ok(0)),
            ("10b", Ok(10)),
            ("xx", Err("invalid size: 'xx'".to_owned())),
            ("", Err("invalid size: ''".to_owned())),
            ("1x", Err("invalid suffix: 'x'".to_owned())),
            ("-5", Err("invalid size: '-5'".to_owned())),
        ];
        for (text, expected) in table {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(parse_duration("-1.5h"), Ok(-5_400_000_000_000));
        assert_eq!(parse_duration("250ms"), Ok(250_000_000));
        assert!(parse_duration("5").is_err());
        assert!(parse_duration("5x").is_err());
        assert!(parse_duration("").is_err());
    }
}
