//! `builder` of `daemon.json`, in Docker's words: how much the cache of builds may take, and
//! what the commands of builds may be allowed.

use gantry_engine::{BuildPolicy, CachePruneQuery, CacheSpace};
use serde_json::{Map, Value};

use super::quantity;

/// Reads it.
///
/// # Errors
/// Names what is wrong with it.
pub(super) fn parse(value: &Value) -> Result<BuildPolicy, String> {
    read(value).map_err(|error| format!("builder: {error}"))
}

fn read(value: &Value) -> Result<BuildPolicy, String> {
    let mut policy = BuildPolicy::default();
    for (key, value) in object(value)? {
        match key.to_ascii_lowercase().as_str() {
            "gc" => policy.rules = gc(value).map_err(|error| format!("gc: {error}"))?,
            "entitlements" => {
                for (key, value) in object(value)? {
                    let name = match key.as_str() {
                        "network-host" => "network.host",
                        "security-insecure" => "security.insecure",
                        _ => return Err(format!("entitlements: unknown field {key:?}")),
                    };
                    policy.entitlements.retain(|granted| granted != name);
                    if flag(key, value)? {
                        policy.entitlements.push(name.to_owned());
                    }
                }
            }
            _ => return Err(format!("unknown field {key:?}")),
        }
    }
    Ok(policy)
}

/// What goes after each build; `None` for what is usual.
fn gc(value: &Value) -> Result<Option<Vec<CachePruneQuery>>, String> {
    let mut enabled = true;
    let mut rules = Vec::new();
    let mut space = CacheSpace::default();
    for (key, value) in object(value)? {
        match key.to_ascii_lowercase().as_str() {
            "enabled" => enabled = flag(key, value)?,
            "defaultkeepstorage" | "defaultreservedspace" => space.reserved = bytes(key, value)?,
            "defaultmaxusedspace" => space.max_used = bytes(key, value)?,
            "defaultminfreespace" => space.min_free = bytes(key, value)?,
            "policy" => {
                let list = value.as_array().ok_or("policy: expected a list")?;
                for rule_value in list {
                    rules.push(rule(rule_value).map_err(|error| format!("policy: {error}"))?);
                }
            }
            _ => return Err(format!("unknown field {key:?}")),
        }
    }
    if !enabled {
        return Ok(Some(Vec::new()));
    }
    if rules.is_empty() && space != CacheSpace::default() {
        rules.push(CachePruneQuery {
            space,
            ..CachePruneQuery::default()
        });
    }
    Ok(Some(rules).filter(|rules| !rules.is_empty()))
}

fn rule(value: &Value) -> Result<CachePruneQuery, String> {
    let mut rule = CachePruneQuery::default();
    for (key, value) in object(value)? {
        match key.to_ascii_lowercase().as_str() {
            "all" => rule.all = flag(key, value)?,
            "keepstorage" | "reservedspace" => rule.space.reserved = bytes(key, value)?,
            "maxusedspace" => rule.space.max_used = bytes(key, value)?,
            "minfreespace" => rule.space.min_free = bytes(key, value)?,
            "filter" => {
                let wrong = || format!("{key}: expected a list of name=value");
                for text in value.as_array().ok_or_else(wrong)? {
                    let pair = text.as_str().and_then(|text| text.split_once('='));
                    let (name, value) = pair.ok_or_else(wrong)?;
                    rule.filters.add(name, value.trim_start_matches('='));
                }
            }
            _ => return Err(format!("unknown field {key:?}")),
        }
    }
    rule.check().map_err(|error| error.to_string())?;
    Ok(rule)
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    let object = value.as_object();
    object.ok_or_else(|| "expected an object".to_owned())
}

fn flag(key: &str, value: &Value) -> Result<bool, String> {
    let flag = value.as_bool();
    flag.ok_or_else(|| format!("{key}: expected true or false"))
}

/// A size; of a percentage of the disk nothing is known here.
fn bytes(key: &str, value: &Value) -> Result<u64, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(format!("{key}: expected a size")),
    };
    quantity::bytes(&text).map_err(|error| format!("{key}: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dockers_words_are_read() {
        let policy = parse(&json!({
            "gc": {
                "enabled": true,
                "policy": [
                    {"keepStorage": "10GB", "filter": ["unused-for=2200h"]},
                    {"maxUsedSpace": "50GB", "minFreeSpace": "1GB", "all": true},
                ],
            },
            "entitlements": {"network-host": false, "security-insecure": true},
        }));
        let policy = policy.unwrap();
        assert_eq!(policy.entitlements, ["security.insecure"]);
        let rules = policy.rules.unwrap();
        assert_eq!(rules[0].space.reserved, 10 << 30);
        assert_eq!(rules[0].filters.get("unused-for"), ["2200h"]);
        assert!(rules[1].all && rules[1].space.min_free == 1 << 30);
        let rules = |value: Value| parse(&json!({"gc": value})).unwrap().rules;
        assert_eq!(
            rules(json!({"enabled": false})).map(|rules| rules.len()),
            Some(0)
        );
        assert!(rules(json!({"enabled": true})).is_none());
        let kept = rules(json!({"defaultKeepStorage": "20GB"})).unwrap();
        assert_eq!(kept[0].space.reserved, 20 << 30);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (value, words) in [
            (json!([]), "builder: expected an object"),
            (json!({"x": 1}), "builder: unknown field \"x\""),
            (
                json!({"gc": {"enabled": 1}}),
                "gc: enabled: expected true or false",
            ),
            (json!({"gc": {"policy": [{"filter": ["nope=1"]}]}}), "nope"),
            (
                json!({"gc": {"policy": [{"filter": ["until=x"]}]}}),
                "\"until\" filter expects a duration",
            ),
            (
                json!({"gc": {"defaultKeepStorage": "lots"}}),
                "invalid size",
            ),
            (json!({"entitlements": {"y": true}}), "unknown field \"y\""),
        ] {
            let error = parse(&value).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
