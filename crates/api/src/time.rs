//! The two ways in which the API writes times: RFC 3339 with nanoseconds, and
//! `seconds[.fraction]` since the epoch.

use jiff::{SignedDuration, Timestamp as Instant};

/// What Docker prints for "never".
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Nanoseconds since the epoch as RFC 3339 in UTC, without trailing zeros in
/// the fraction (Go's `RFC3339Nano`).
pub fn rfc3339_nano(time_nano: i64) -> String {
    Instant::from_nanosecond(i128::from(time_nano))
        .map(|instant| instant.to_string())
        .unwrap_or_else(|_| ZERO_TIME.to_owned())
}

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value for \"{name}\": failed to parse value as time or duration: {value:?}")]
pub struct TimestampError {
    name: String,
    value: String,
}

/// A point in time as `since`, `until` and the like name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Nanoseconds since the epoch.
    pub nanos: i64,
}

impl Timestamp {
    /// Reads `seconds[.fraction]`, an RFC 3339 time, the same without a zone
    /// (then in UTC), a day, or a duration such as `1h30m` before `now_nano`.
    /// `name` is the parameter, for the error.
    ///
    /// # Errors
    /// When the text is none of these or out of range.
    pub fn parse(name: &str, text: &str, now_nano: i64) -> Result<Self, TimestampError> {
        let text = text.trim();
        unix(text)
            .or_else(|| before_now(text, now_nano))
            .or_else(|| calendar(text))
            .map(|nanos| Self { nanos })
            .ok_or_else(|| TimestampError {
                name: name.to_owned(),
                value: text.to_owned(),
            })
    }
}

fn unix(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || !all_digits(seconds) || !all_digits(fraction) {
        return None;
    }
    let seconds: i64 = seconds.parse().ok()?;
    let mut nanos: i64 = 0;
    for position in 0..9 {
        let digit = fraction.as_bytes().get(position).map_or(0, |b| b - b'0');
        nanos = nanos * 10 + i64::from(digit);
    }
    let total = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    Some(if negative { -total } else { total })
}

fn before_now(text: &str, now_nano: i64) -> Option<i64> {
    if !text.ends_with(['h', 'm', 's']) {
        return None;
    }
    let duration: SignedDuration = text.parse().ok()?;
    now_nano.checked_sub(i64::try_from(duration.as_nanos()).ok()?)
}

fn calendar(text: &str) -> Option<i64> {
    let instant = text.parse::<Instant>().ok().or_else(|| {
        let civil = match text.parse::<jiff::civil::DateTime>() {
            Ok(civil) => civil,
            Err(_) => text.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0),
        };
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    i64::try_from(instant.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(rfc3339_nano(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(rfc3339_nano(0), "1970-01-01T00:00:00Z");
        assert_eq!(
            rfc3339_nano(1_795_246_729_268_201_355),
            "2026-11-21T07:38:49.268201355Z"
        );
    }

    #[test]
    fn every_notation_is_read() {
        let second = 1_000_000_000;
        for (text, nanos) in [
            ("5", 5 * second),
            ("5.25", 5 * second + 250_000_000),
            ("1.000000001", second + 1),
            ("1970-01-01T00:00:02Z", 2 * second),
            ("1970-01-01T01:00:02+01:00", 2 * second),
            ("1970-01-01T00:00:03", 3 * second),
            ("1970-01-02", 86_400 * second),
            ("1m30s", 10 * second),
        ] {
            let parsed = Timestamp::parse("since", text, 100 * second).unwrap();
            assert_eq!(parsed.nanos, nanos, "{text}");
        }
        for bad in ["", "x", "1.x", "99999999999999999999", "12h x"] {
            assert!(Timestamp::parse("since", bad, 0).is_err(), "{bad}");
        }
    }
}
