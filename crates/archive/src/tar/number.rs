//! Numbers in header fields (octal, or base-256 with the first bit set) and in
//! pax records (decimal).

use super::Timestamp;

/// The number in a header field. `None` if it is none, or does not fit.
pub(super) fn parse_field(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => parse_base256(field),
        _ => parse_octal(field),
    }
}

fn parse_octal(field: &[u8]) -> Option<i64> {
    let blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = field.iter().position(|byte| !blank(byte));
    let Some(start) = start else { return Some(0) };
    let digits = &field[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    digits[..end].iter().try_fold(0i64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(i64::from(digit))
    })
}

/// Two's complement, big endian; the very first bit only marks the format.
fn parse_base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let fill = if negative { -1i128 } else { 0 };
    let mut value = fill;
    for byte in std::iter::once(first).chain(field[1..].iter().copied()) {
        value = value.checked_mul(256)?;
        value |= i128::from(byte);
        // Far beyond 64 bits: stop before 128 are not enough either.
        if value > i128::from(u64::MAX) || value < i128::from(i64::MIN) * 2 {
            return None;
        }
    }
    i64::try_from(value).ok()
}

/// Writes `value` as octal digits and a NUL; whether it fits.
pub(super) fn write_octal(field: &mut [u8], value: u64) -> bool {
    let digits = field.len() - 1;
    if digits < 21 && value >> (3 * digits) != 0 {
        return false;
    }
    for (place, byte) in field[..digits].iter_mut().rev().enumerate() {
        *byte = b'0' + ((value >> (3 * place)) & 7) as u8;
    }
    field[digits] = 0;
    true
}

/// A decimal number without sign.
pub(super) fn parse_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `[-]seconds[.fraction]`; digits beyond nanoseconds are dropped.
pub(super) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let dot = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match dot {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    let seconds = i64::try_from(parse_decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds = (0..9).fold(0, |value, place| {
        value * 10 + u32::from(fraction.get(place).map_or(0, |digit| digit - b'0'))
    });
    Some(match (negative, nanoseconds) {
        (false, _) => Timestamp {
            seconds,
            nanoseconds,
        },
        (true, 0) => Timestamp {
            seconds: -seconds,
            nanoseconds: 0,
        },
        (true, _) => Timestamp {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}

/// The shortest text that [`parse_time`] reads as `time`.
pub(super) fn format_time(time: Timestamp) -> String {
    let (sign, seconds, nanoseconds) = if time.seconds < 0 && time.nanoseconds > 0 {
        let seconds = -(time.seconds + 1);
        ("-", seconds, 1_000_000_000 - time.nanoseconds)
    } else if time.seconds < 0 {
        ("-", time.seconds.saturating_neg(), 0)
    } else {
        ("", time.seconds, time.nanoseconds)
    };
    let sign = if seconds == 0 && nanoseconds == 0 {
        ""
    } else {
        sign
    };
    let fraction = format!("{nanoseconds:09}");
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{seconds}"),
        fraction => format!("{sign}{seconds}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_octal_or_base_256() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"0000008\0", None),
            (b"-000001\0", None),
            (b"\x80\0\0\0\0\0\0\x01\0\0\0\0", Some(1 << 32)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
                Some(-2),
            ),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX),
            ),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"777777777777777777777777", None),
        ] {
            assert_eq!(parse_field(field), value, "{field:?}");
        }
    }

    #[test]
    fn octal_is_written_when_it_fits() {
        let mut field = [0xaa; 8];
        assert!(write_octal(&mut field, 0o7654321));
        assert_eq!(&field, b"7654321\0");
        assert!(!write_octal(&mut field, 0o10000000));
        let mut wide = [0; 12];
        assert!(write_octal(&mut wide, (8 << 30) - 1));
        assert!(!write_octal(&mut wide, 8 << 30));
    }

    #[test]
    fn times_round_trip() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("1.5", 1, 500_000_000),
            ("1350244992.023960108", 1_350_244_992, 23_960_108),
            ("-1", -1, 0),
            ("-0.5", -1, 500_000_000),
            ("-1.999999999", -2, 1),
        ] {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(parse_time(text.as_bytes()), Some(time), "{text}");
            assert_eq!(format_time(time), text);
        }
        assert_eq!(parse_time(b"1.0000000019").map(|t| t.nanoseconds), Some(1));
        for bad in ["", "-", "1.x", "+1", ".5", "99999999999999999999"] {
            assert_eq!(parse_time(bad.as_bytes()), None, "{bad}");
        }
    }
}
