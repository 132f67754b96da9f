//! Sizes as people write them.

/// Reads `20m`, `1.5GB`, `100`: units are decimal whatever they are called, as
/// Docker reads them here (`KiB` is 1000 bytes, too).
///
/// # Errors
/// In Docker's words.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let last = text
        .rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))
        .ok_or_else(invalid)?;
    let (number, unit) = match text.as_bytes()[last] {
        b' ' => (&text[..last], &text[last + 1..]),
        _ => text.split_at(last + 1),
    };
    let size: f64 = number
        .parse()
        .map_err(|_| format!("strconv.ParseFloat: parsing {number:?}: invalid syntax"))?;
    if size.is_nan() || size < 0.0 {
        return Err(invalid());
    }
    let factor = factor(&unit.to_ascii_lowercase())
        .ok_or_else(|| format!("invalid suffix: '{}'", unit.to_lowercase()))?;
    Ok((size * factor) as u64)
}

fn factor(unit: &str) -> Option<f64> {
    let power = match unit.chars().next() {
        None => return Some(1.0),
        Some('b') => return (unit == "b").then_some(1.0),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(&unit[1..], "" | "b" | "ib").then(|| 1000f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_decimal() {
        let cases = [
            ("10m", 10_000_000),
            ("1.5kb", 1500),
            ("2KiB", 2000),
            ("3 GB", 3_000_000_000),
            ("7", 7),
            ("7b", 7),
            ("0", 0),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        let cases = [
            ("-1", "invalid size: '-1'"),
            ("m", "invalid size: 'm'"),
            ("", "invalid size: ''"),
            ("10x", "invalid suffix: 'x'"),
            ("10mm", "invalid suffix: 'mm'"),
            ("1bb", "invalid suffix: 'bb'"),
            (
                "1.2.3",
                "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax",
            ),
        ];
        for (text, error) in cases {
            assert_eq!(parse_size(text), Err(error.to_owned()), "{text}");
        }
    }
}
