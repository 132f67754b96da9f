//! Flags that say several things: `key=value,key=value`, where a field may be quoted.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

use crate::error::Error;

/// The fields of a line of comma-separated values.
pub(super) fn fields(text: &str) -> Result<Vec<String>, Error> {
    gantry_dockerfile::fields(text).map_err(|error| Error::message(error.to_string()))
}

/// Fields as a line.
pub(super) fn line(fields: impl IntoIterator<Item = (String, String)>) -> String {
    let fields = fields.into_iter().map(|(key, value)| {
        let field = format!("{key}={value}");
        match field.contains([',', '"']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field,
        }
    });
    fields.collect::<Vec<_>>().join(",")
}

/// What fields say, by their keys in small letters.
pub(super) fn map(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let pair = |field: String| match field.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_lowercase(), value.to_owned())),
        None => Err(Error::message(format!("invalid value {field}"))),
    };
    fields(text)?.into_iter().map(pair).try_into_map()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let all = map("Type=local,\"dest=a,b\"").unwrap();
        assert_eq!(all["type"], "local");
        assert_eq!(all["dest"], "a,b");
        assert_eq!(map(&line(all.clone())).unwrap(), all);
        assert!(map("type=x,y").is_err());
    }
}
