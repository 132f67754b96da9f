//! What Go's types know about inspected objects: which absent and null fields
//! are empty lists, empty maps or nil, so that templates see what they see in
//! Docker; and times on the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_api::Timestamp;
use gantry_gotemplate::{Absent, Scope};
use serde_json::Value;

use crate::error::Error;

/// Fields that are left out of the JSON when they are nil.
const OMITTED: &[&str] = &[
    "Health",
    "Healthcheck",
    "StopTimeout",
    "Init",
    "SizeRw",
    "SizeRootFs",
    "Shell",
    "Mounts",
    "Tmpfs",
    "Sysctls",
    "StorageOpt",
    "Annotations",
    "ExposedPorts",
    "ImageManifestDescriptor",
    "Descriptor",
    "Manifests",
];
/// Text fields that are left out when they are empty.
const OMITTED_TEXT: &[&str] = &[
    "StopSignal",
    "MacAddress",
    "Runtime",
    "Variant",
    "OsVersion",
    "Parent",
    "Comment",
    "Author",
    "DockerVersion",
    "Driver",
];
/// Flags that are left out when they are false.
const OMITTED_FLAGS: &[&str] = &["NetworkDisabled", "ArgsEscaped"];
const MAPS: &[&str] = &[
    "Volumes",
    "Labels",
    "ExposedPorts",
    "PortBindings",
    "Ports",
    "Tmpfs",
    "Sysctls",
    "StorageOpt",
    "Annotations",
    "Config",
    "Networks",
    "DriverOpts",
    "Data",
    "Options",
    "Attributes",
];
const POINTERS: &[&str] = &[
    "Health",
    "Healthcheck",
    "StopTimeout",
    "Init",
    "SizeRw",
    "SizeRootFs",
    "OomKillDisable",
    "MemorySwappiness",
    "PidsLimit",
    "IPAMConfig",
    "ImageManifestDescriptor",
    "Descriptor",
];

/// Go's types of what `inspect` shows.
pub(super) struct Typed;

impl Scope for Typed {
    fn nil(&self, field: &str) -> &'static str {
        if POINTERS.contains(&field) {
            "<nil>"
        } else if MAPS.contains(&field) {
            "map[]"
        } else {
            "[]"
        }
    }

    fn has_typed_maps(&self) -> bool {
        true
    }

    fn absent(&self, field: &str) -> Absent {
        if OMITTED.contains(&field) {
            return Absent::Value(Value::Null);
        }
        if OMITTED_TEXT.contains(&field) {
            return Absent::Value(Value::String(String::new()));
        }
        if OMITTED_FLAGS.contains(&field) {
            return Absent::Value(Value::Bool(false));
        }
        Absent::Error(format!("map has no entry for key {field:?}"))
    }
}

/// A time or a duration before now, as the API takes it.
pub(super) fn moment(name: &str, text: &str) -> Result<String, Error> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        });
    let stamp =
        Timestamp::parse(name, text, now).map_err(|error| Error::message(error.to_string()))?;
    let (seconds, nanos) = (
        stamp.nanos.div_euclid(1_000_000_000),
        stamp.nanos.rem_euclid(1_000_000_000),
    );
    Ok(format!("{seconds}.{nanos:09}"))
}

/// The platform as the JSON object that some requests take.
pub(super) fn platform(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let platform: gantry_types::Platform = text
        .parse()
        .map_err(|error| Error::message(format!("invalid platform: {error}")))?;
    serde_json::to_string(&platform).map_err(|error| Error::message(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment("since", "").unwrap(), "");
        assert_eq!(moment("since", "5").unwrap(), "5");
        assert_eq!(
            moment("since", "1970-01-01T00:00:01.5Z").unwrap(),
            "1.500000000"
        );
        assert!(moment("since", "yesterday").is_err());
    }
}
