//! Points in time to the nanosecond, and their two spellings: short in log
//! files (RFC3339Nano: trailing zeros dropped), fixed before lines (`logs -t`).

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds beyond them, below 10⁹.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// The system's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// `2006-01-02T15:04:05.12Z`: as many digits as are needed.
    pub fn rfc3339_nano(self) -> String {
        let mut text = self.rfc3339_fixed();
        text.truncate(text.len() - 1);
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
        text.push('Z');
        text
    }

    /// `2006-01-02T15:04:05.120000000Z`: always nine digits.
    pub fn rfc3339_fixed(self) -> String {
        let days = self.seconds.div_euclid(SECONDS_PER_DAY);
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = String::with_capacity(30);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z",
            self.nanoseconds
        );
        text
    }

    /// Reads RFC 3339 with up to nine digits and any offset.
    pub fn parse_rfc3339(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| Error::InvalidTime(text.chars().take(64).collect()))
    }

    /// Reads `seconds[.fraction]`, as the API's `since` and `until` are written.
    /// A negative time is before 1970.
    pub fn parse_unix(text: &str) -> Result<Self> {
        let bad = || Error::InvalidTime(text.chars().take(64).collect());
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = seconds.parse().map_err(|_| bad())?;
        let nanoseconds = fraction_of(fraction).ok_or_else(bad)?;
        Ok(Self {
            seconds,
            nanoseconds,
        })
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos(),
            },
            // A clock before 1970 is a clock that was never set.
            Err(_) => Self::default(),
        }
    }
}

/// Days since 1970 → year, month, day in the Gregorian calendar. Years are
/// counted from March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of `civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn fraction_of(digits: &str) -> Option<u32> {
    if digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u32 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    Some(number * 10u32.pow(9 - u32::try_from(digits.len()).ok()?))
}

fn parse(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let is = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|b| wanted.contains(b));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let separators = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !separators || !in_range {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("", rest),
    };
    let seconds = days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp {
        seconds: seconds - offset(zone)?,
        nanoseconds: fraction_of(fraction)?,
    })
}

/// `Z`, `+01:00` → seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' if zone.len() == 1 => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let hours: u8 = hours.parse().ok().filter(|h| *h < 24)?;
    let minutes: u8 = minutes.parse().ok().filter(|m| *m < 60)?;
    Some(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings() {
        let time = Timestamp {
            seconds: 1_136_214_245,
            nanoseconds: 120_000_000,
        };
        assert_eq!(time.rfc3339_nano(), "2006-01-02T15:04:05.12Z");
        assert_eq!(time.rfc3339_fixed(), "2006-01-02T15:04:05.120000000Z");
        let whole = Timestamp {
            nanoseconds: 0,
            seconds: 951_782_400,
        };
        assert_eq!(whole.rfc3339_nano(), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn offsets_and_rubbish() {
        let time = Timestamp::parse_rfc3339("2006-01-02T16:04:05.5+01:00").unwrap();
        assert_eq!(
            (time.seconds, time.nanoseconds),
            (1_136_214_245, 500_000_000)
        );
        for bad in [
            "",
            "2006",
            "2006-01-02T15:04:05",
            "2006-13-02T15:04:05Z",
            "2006-01-02T15:04:05.Z1",
            "é006-01-02T15:04:05Z",
            "2006-01-02T15:04:05.1234567890Z",
        ] {
            assert!(Timestamp::parse_rfc3339(bad).is_err(), "{bad}");
        }
        let time = Timestamp::parse_unix("1136214245.000000001").unwrap();
        assert_eq!(time.nanoseconds, 1);
        assert!(Timestamp::parse_unix("yesterday").is_err());
    }

    proptest! {
        #[test]
        fn both_spellings_are_read_back(seconds in -62_135_596_800i64..253_402_300_799, nanoseconds in 0u32..1_000_000_000) {
            let time = Timestamp { seconds, nanoseconds };
            prop_assert_eq!(Timestamp::parse_rfc3339(&time.rfc3339_nano()).unwrap(), time);
            prop_assert_eq!(Timestamp::parse_rfc3339(&time.rfc3339_fixed()).unwrap(), time);
        }
    }
}
