//! What Go's types know about inspected objects: which absent and null fields
//! are empty lists, empty maps or nil, so that templates see what they see in
//! Docker; and times on the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_api::Timestamp;
use gantry_gotemplate::{Absent, Scope, plain_text};
use serde_json::{Map, Value};

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
    "Env",
    "Cmd",
    "Entrypoint",
    "Labels",
    "OnBuild",
    "Volumes",
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
    "User",
    "WorkingDir",
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

/// Fields that Go's types call otherwise than the JSON does. A template that
/// uses the name of the JSON is rendered over plain maps instead.
const GO_NAMES: &[(&str, &str)] = &[
    ("ID", "Id"),
    ("DNS", "Dns"),
    ("DNSOptions", "DnsOptions"),
    ("DNSSearch", "DnsSearch"),
    ("CPUShares", "CpuShares"),
    ("NanoCPUs", "NanoCpus"),
    ("CPUPeriod", "CpuPeriod"),
    ("CPUQuota", "CpuQuota"),
    ("CPURealtimePeriod", "CpuRealtimePeriod"),
    ("CPURealtimeRuntime", "CpuRealtimeRuntime"),
    ("CPUCount", "CpuCount"),
    ("CPUPercent", "CpuPercent"),
    ("HostIP", "HostIp"),
];

/// Objects that are structs in Go: their fields in order, with what stands for
/// one that is left out. The first two tell them apart from maps.
const STRUCTS: &[&[(&str, &str)]] = &[
    &[
        ("Status", ""),
        ("Running", "false"),
        ("Paused", "false"),
        ("Restarting", "false"),
        ("OOMKilled", "false"),
        ("Dead", "false"),
        ("Pid", "0"),
        ("ExitCode", "0"),
        ("Error", ""),
        ("StartedAt", ""),
        ("FinishedAt", ""),
        ("Health", "<nil>"),
    ],
    &[
        ("Source", ""),
        ("Destination", ""),
        ("Type", ""),
        ("Name", ""),
        ("Source", ""),
        ("Destination", ""),
        ("Driver", ""),
        ("Mode", ""),
        ("RW", "false"),
        ("Propagation", ""),
    ],
    &[("Name", ""), ("Version", ""), ("Details", "map[]")],
    &[("HostIp", ""), ("HostPort", "")],
    &[("Name", ""), ("MaximumRetryCount", "0")],
    &[("Type", ""), ("Config", "map[]")],
    &[("Data", "map[]"), ("Name", "")],
    &[("Type", ""), ("Layers", "[]")],
    &[("Driver", ""), ("Options", "map[]"), ("Config", "[]")],
    &[
        ("Subnet", ""),
        ("Subnet", ""),
        ("Subnet", ""),
        ("IPRange", ""),
        ("Gateway", ""),
        ("AuxiliaryAddresses", "map[]"),
    ],
];

/// The text of an object that is a struct in Go.
fn structure(object: &Map<String, Value>) -> Option<String> {
    let fields = STRUCTS.iter().find(|fields| {
        let marks = fields
            .iter()
            .take(2)
            .all(|(name, _)| object.contains_key(*name));
        marks
            && object
                .keys()
                .all(|key| fields.iter().any(|(name, _)| name == key))
    })?;
    // Where the marks are not the first fields, they are named once more.
    let skipped = match fields.iter().skip(2).any(|(name, _)| *name == fields[0].0) {
        true => 2,
        false => 0,
    };
    let texts = fields
        .iter()
        .skip(skipped)
        .map(|(name, missing)| match object.get(*name) {
            None | Some(Value::Null) => (*missing).to_owned(),
            Some(value) => text(value).unwrap_or_else(|| plain_text(value)),
        });
    Some(format!("{{{}}}", texts.collect::<Vec<_>>().join(" ")))
}

/// The text of a value that is or holds structs; `None` for any other.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => structure(object).or_else(|| {
            object.values().any(|value| text(value).is_some()).then(|| {
                let mut pairs: Vec<(&String, &Value)> = object.iter().collect();
                gantry_types::sort::by_key(&mut pairs, |(key, _)| *key);
                let shown = pairs.into_iter().map(|(key, value)| {
                    let value = match value {
                        Value::Null => "[]".to_owned(),
                        value => text(value).unwrap_or_else(|| plain_text(value)),
                    };
                    format!("{key}:{value}")
                });
                format!("map[{}]", shown.collect::<Vec<_>>().join(" "))
            })
        }),
        Value::Array(items) => items.iter().any(|item| text(item).is_some()).then(|| {
            let shown = items.iter();
            let shown = shown.map(|item| text(item).unwrap_or_else(|| plain_text(item)));
            format!("[{}]", shown.collect::<Vec<_>>().join(" "))
        }),
        _ => None,
    }
}

/// Go's types of what `inspect` shows.
pub(super) struct Typed;

impl Scope for Typed {
    fn key<'a>(&self, field: &'a str, object: &Map<String, Value>) -> Result<&'a str, String> {
        if object.contains_key(field) && GO_NAMES.iter().any(|(_, json)| *json == field) {
            return Err(format!("can't evaluate field {field}"));
        }
        let found = GO_NAMES
            .iter()
            .find(|(go, json)| *go == field && object.contains_key(*json));
        Ok(found.map_or(field, |(_, json)| *json))
    }

    fn shown(&self, value: &Value) -> Option<String> {
        text(value)
    }

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

/// Leaves out of an image's config what Go leaves out when it is empty.
pub(super) fn image_config(image: &mut Value) {
    if let Some(config) = image.get_mut("Config").and_then(Value::as_object_mut) {
        config.retain(|_, value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Bool(flag) => *flag,
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Number(_) => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_print_as_go_prints_them() {
        let table = [
            (r#"{"Name":"no","MaximumRetryCount":0}"#, Some("{no 0}")),
            (
                r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}],"81/tcp":null}"#,
                Some("map[80/tcp:[{0.0.0.0 8080}] 81/tcp:[]]"),
            ),
            (
                r#"[{"Type":"bind","Source":"/a","Destination":"/b","Mode":"ro","RW":false,"Propagation":"rprivate"}]"#,
                Some("[{bind  /a /b  ro false rprivate}]"),
            ),
            (
                r#"[{"Subnet":"10.0.0.0/24","Gateway":"10.0.0.1"}]"#,
                Some("[{10.0.0.0/24  10.0.0.1 map[]}]"),
            ),
            (r#"{"a":"b"}"#, None),
            (r#"["x"]"#, None),
        ];
        for (json, expected) in table {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(text(&value).as_deref(), expected, "{json}");
        }
    }

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
