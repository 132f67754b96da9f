//! Durations, sizes and times as people read them, in Docker's words.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The wall clock in seconds.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

/// `About a minute`, `3 weeks`.
pub(crate) fn duration(seconds: i64) -> String {
    let hours = (seconds as f64 / 3600.0 + 0.5) as i64;
    let minutes = seconds / 60;
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// `3 weeks ago`, for a time in seconds.
pub(crate) fn ago(seconds: i64) -> String {
    format!("{} ago", duration(now() - seconds))
}

/// `3 weeks ago`, for a time in RFC 3339; other text as it is.
pub(crate) fn ago_text(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(stamp) => ago(stamp.as_second()),
        Err(_) => text.to_owned(),
    }
}

/// Go's `%.Ng`.
fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let shown = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{value:.decimals$}"))
}

fn scaled(mut value: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    significant(value, digits) + units[unit]
}

/// Decimal units with `digits` significant digits: `1.98MB`.
pub(crate) fn size(bytes: i64, digits: usize) -> String {
    const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    scaled(bytes as f64, 1000.0, &UNITS, digits)
}

/// Binary units: `23.54GiB`.
pub(crate) fn binary_size(bytes: i64) -> String {
    const UNITS: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];
    scaled(bytes as f64, 1024.0, &UNITS, 4)
}

fn local(nanos: i128) -> jiff::Zoned {
    let stamp = Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::UNIX_EPOCH);
    stamp.to_zoned(TimeZone::system())
}

/// Go's `time.Unix(s, 0).String()` in the local zone.
pub(crate) fn created_at(seconds: i64) -> String {
    let zoned = local(i128::from(seconds) * 1_000_000_000);
    let zone = zoned.strftime("%Z").to_string();
    let zone = if zone == "Etc/Unknown" || zone.is_empty() {
        "UTC".to_owned()
    } else {
        zone
    };
    format!("{} {zone}", zoned.strftime("%Y-%m-%d %H:%M:%S %z"))
}

/// Go's `time.Time.String()` of a time in RFC 3339, in the zone it is given in;
/// other text as it is.
pub(crate) fn go_time(text: &str) -> String {
    let Some((date, rest)) = text.split_once('T') else {
        return text.to_owned();
    };
    let at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(at);
    match zone {
        "" | "Z" => format!("{date} {time} +0000 UTC"),
        zone => {
            let zone = zone.replace(':', "");
            format!("{date} {time} {zone} {zone}")
        }
    }
}

/// RFC 3339 with nine digits of a second, in the local zone.
pub(crate) fn event_time(nanos: i64) -> String {
    let zoned = local(i128::from(nanos));
    offset_or_z(&zoned, "%Y-%m-%dT%H:%M:%S.%9f")
}

/// RFC 3339 in whole seconds, in the local zone.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let zoned = local(i128::from(seconds) * 1_000_000_000);
    offset_or_z(&zoned, "%Y-%m-%dT%H:%M:%S")
}

fn offset_or_z(zoned: &jiff::Zoned, format: &str) -> String {
    let time = zoned.strftime(format);
    if zoned.offset().seconds() == 0 {
        return format!("{time}Z");
    }
    format!("{time}{}", zoned.strftime("%:z"))
}

/// `2026-09-15T11:02:57.000+00:00` as `Tue Sep 15 11:02:57 2026`; other text as
/// it is.
pub(crate) fn ansi_time(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(stamp) => stamp.strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let hour = 3600;
        let day = 24 * hour;
        let table = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60, "59 minutes"),
            (hour, "About an hour"),
            (hour + 1800, "2 hours"),
            (47 * hour, "47 hours"),
            (2 * day, "2 days"),
            (13 * day, "13 days"),
            (14 * day, "2 weeks"),
            (59 * day, "8 weeks"),
            (60 * day, "2 months"),
            (729 * day, "24 months"),
            (730 * day, "2 years"),
        ];
        for (seconds, expected) in table {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn sizes() {
        let table = [
            (0, 3, "0B"),
            (999, 3, "999B"),
            (1000, 3, "1kB"),
            (1_982_464, 3, "1.98MB"),
            (1_982_464, 4, "1.982MB"),
            (123_456_789, 3, "123MB"),
            (999_999, 3, "1e+03kB"),
            (1_240_000_000, 3, "1.24GB"),
        ];
        for (bytes, digits, expected) in table {
            assert_eq!(size(bytes, digits), expected, "{bytes}");
        }
        assert_eq!(binary_size(25_275_000_000), "23.54GiB");
        assert_eq!(binary_size(2048), "2KiB");
    }

    #[test]
    fn times() {
        assert_eq!(
            ansi_time("2026-09-15T11:02:57.000000000+00:00"),
            "Tue Sep 15 11:02:57 2026"
        );
        assert_eq!(ansi_time("today"), "today");
    }
}
