//! Typed values of options.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command_line::Values;

/// A value that has a text of its own kind.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    values: &Values,
    name: &str,
) -> Result<Option<T>, String> {
    let value = text(values, name).map(str::parse).transpose();
    value.map_err(|error| format!("--{name}: {error}"))
}

/// A text.
pub(super) fn text<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.get(name)?.as_str()
}

/// A switch.
pub(super) fn switch(values: &Values, name: &str, default: bool) -> bool {
    values.get(name).and_then(Value::as_bool).unwrap_or(default)
}

/// A number.
pub(super) fn number(values: &Values, name: &str, default: i64) -> i64 {
    values.get(name).and_then(Value::as_i64).unwrap_or(default)
}

/// How many of something that costs memory: 256 at most.
pub(super) fn count(values: &Values, name: &str, default: usize) -> Result<usize, String> {
    match values.get(name).and_then(Value::as_i64) {
        None => Ok(default),
        Some(given) => usize::try_from(given)
            .ok()
            .filter(|count| *count <= 256)
            .ok_or_else(|| format!("--{name}: expected 0 to 256")),
    }
}

/// All values of an option that may be given several times.
pub(super) fn list<'a>(values: &'a Values, name: &str) -> &'a [Value] {
    values
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The texts of such an option.
pub(super) fn strings(values: &Values, name: &str) -> Vec<String> {
    let words = list(values, name).iter().filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

/// `NAME=VALUE`, several times.
pub(super) fn pairs(values: &Values, name: &str) -> BTreeMap<String, String> {
    let Some(Value::Object(map)) = values.get(name) else {
        return BTreeMap::new();
    };
    map.iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .into_map()
}

/// A path, which must not depend on where the daemon was started.
pub(super) fn path(values: &Values, name: &str, default: &Path) -> Result<PathBuf, String> {
    let path = text(values, name).map_or_else(|| default.to_owned(), PathBuf::from);
    std::path::absolute(&path).map_err(|error| format!("--{name}: {}: {error}", path.display()))
}
