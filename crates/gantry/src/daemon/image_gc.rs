//! `image-gc` of `daemon.json`: which images the daemon removes by itself. Off unless
//! it stands there.

use std::time::Duration;

use gantry_engine::{ImageGc, ImagePolicy};
use serde_json::Value;

use super::quantity;

/// The time between two looks, when nobody says.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Reads it.
///
/// # Errors
/// Names what is wrong with it.
pub(super) fn parse(value: &Value) -> Result<ImageGc, String> {
    read(value).map_err(|error| format!("image-gc: {error}"))
}

fn read(value: &Value) -> Result<ImageGc, String> {
    let given = value.as_object().ok_or("expected an object")?;
    let mut policy = ImagePolicy::default();
    let mut interval = INTERVAL;
    for (key, value) in given {
        let text = || {
            let text = value.as_str();
            text.ok_or_else(|| format!("{key}: expected a string"))
        };
        match key.as_str() {
            "max-age" => policy.max_age = Some(age(text()?)?),
            "max-size" => policy.max_size = Some(quantity::bytes(text()?)?),
            "interval" => interval = age(text()?)?,
            "keep" => policy.keep = patterns(value)?,
            _ => return Err(format!("unknown field {key:?}")),
        }
    }
    if policy.max_age.is_none() && policy.max_size.is_none() {
        return Err("expected max-age or max-size".to_owned());
    }
    if interval.is_zero() {
        return Err("interval: expected more than 0".to_owned());
    }
    Ok(ImageGc { policy, interval })
}

fn patterns(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || "keep: expected a list of strings".to_owned();
    let list = value.as_array().ok_or_else(wrong)?;
    let texts = list.iter().map(|text| text.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(wrong)
}

/// A duration, or days (`30d`).
fn age(text: &str) -> Result<Duration, String> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        None => quantity::duration(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_meant_is_read() {
        let given = json!({"max-age": "30d", "max-size": "20GB", "keep": ["base/*"]});
        let read = parse(&given).unwrap();
        assert_eq!(read.policy.max_age, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(read.policy.max_size, Some(20 << 30));
        assert_eq!((read.policy.keep.len(), read.interval), (1, INTERVAL));
        let read = parse(&json!({"max-age": "720h", "interval": "10m"})).unwrap();
        assert_eq!(read.interval, Duration::from_secs(600));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (given, reason) in [
            (json!({}), "expected max-age or max-size"),
            (json!({"max-age": "x"}), "invalid duration: \"x\""),
            (json!({"max-size": "lots"}), "invalid size"),
            (json!({"max-age": "1h", "age": 1}), "unknown field \"age\""),
            (
                json!({"max-age": "1h", "interval": "0"}),
                "interval: expected more",
            ),
            (json!([1]), "image-gc: "),
        ] {
            let error = parse(&given).unwrap_err();
            assert!(
                error.starts_with("image-gc: ") && error.contains(reason),
                "{error}"
            );
        }
    }
}
