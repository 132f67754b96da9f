//! HEALTHCHECK: `NONE`, or options and a command.

use serde_json::{Value, json};

use super::command;
use crate::{Error, Result};

/// The health check as the configuration keeps it (durations in nanoseconds).
pub(super) fn parse(rest: &str) -> Result<Value> {
    let mut check = serde_json::Map::new();
    let mut rest = rest;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option
            .split_once(char::is_whitespace)
            .unwrap_or((option, ""));
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let key = match name {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => "Retries",
            _ => return Err(Error::Invalid(format!("unknown flag: --{name}"))),
        };
        let number = if key == "Retries" {
            value.parse::<i64>().ok().filter(|retries| *retries > 0)
        } else {
            duration(value)
        };
        let number = number.ok_or_else(|| {
            Error::Invalid(format!("invalid value {value:?} for HEALTHCHECK --{name}"))
        })?;
        check.insert(key.to_owned(), json!(number));
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    let test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => vec!["NONE".to_owned()],
        "NONE" => {
            return Err(Error::Invalid(
                "HEALTHCHECK NONE takes no arguments".to_owned(),
            ));
        }
        "CMD" if command.is_empty() => {
            return Err(Error::Invalid(
                "Missing command after HEALTHCHECK CMD".to_owned(),
            ));
        }
        "CMD" => match command::json(command) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        _ => {
            return Err(Error::Invalid(format!(
                "Unknown type {kind:?} in HEALTHCHECK (try CMD)"
            )));
        }
    };
    // The order in which Docker writes them.
    let test = std::iter::once(("Test".to_owned(), json!(test)));
    Ok(Value::Object(test.chain(check).collect()))
}

/// A duration as Go writes it (`1m30s`, `1.5h`), in nanoseconds; at least a
/// millisecond, or zero.
fn duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..unit_end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    let valid = !text.is_empty() && total < 9e18 && (total == 0.0 || total >= 1e6);
    valid.then_some(total as i64)
}
