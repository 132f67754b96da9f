//! `daemon.json`: Docker's keys, each known by name; what is wrong is named with
//! its place.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command_line::Values;
use super::options::{self, Kind};

/// Where the file is looked for when no flag names it: the first that exists.
const PLACES: [&str; 2] = ["/etc/gantry/daemon.json", "/etc/docker/daemon.json"];

/// What the object `proxies` may have.
const PROXIES: [&str; 3] = ["http-proxy", "https-proxy", "no-proxy"];

/// The longest file that is read.
const LIMIT: usize = 1 << 20;

/// Reads the file, and joins it with the flags.
///
/// # Errors
/// When a named file does not exist, when it is not JSON, when a key is unknown,
/// not supported or has a wrong value, and when something stands both in the
/// file and on the command line.
pub(super) fn merged(named: Option<&Path>, flags: &Values) -> Result<Values, String> {
    let (path, text) = match read(named)? {
        Some(found) => found,
        None => return Ok(flags.clone()),
    };
    let failed = |reason: String| {
        let path = path.display();
        format!("unable to configure the daemon with file {path}: {reason}")
    };
    let mut values = parse(&text).map_err(failed)?;
    let conflicts: Vec<String> = values
        .iter()
        .filter_map(|(name, from_file)| {
            let from_flag = flags.get(name)?;
            let key = options::by_flag(name).map_or("", |option| option.key);
            let key = if key.is_empty() { name.as_str() } else { key };
            let shown = |value: &Value| match PROXIES.contains(&name.as_str()) {
                true => gantry_registry::masked_proxy(&plain(value)),
                false => plain(value),
            };
            let (flag, file) = (shown(from_flag), shown(from_file));
            Some(format!("{key}: (from flag: {flag}, from file: {file})"))
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(failed(format!(
            "the following directives are specified both as a flag and in the configuration \
             file: {}",
            conflicts.join(", ")
        )));
    }
    values.extend(flags.clone());
    Ok(values)
}

fn read(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, String> {
    let places = match named {
        Some(path) => vec![path.to_owned()],
        None => PLACES.map(PathBuf::from).to_vec(),
    };
    for path in places {
        match std::fs::read(&path) {
            Ok(bytes) if bytes.len() > LIMIT => {
                return Err(format!("{}: longer than {LIMIT} bytes", path.display()));
            }
            Ok(bytes) => {
                let text = String::from_utf8(bytes)
                    .map_err(|_| format!("{}: not UTF-8", path.display()))?;
                return Ok(Some((path, text)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {}
            Err(error) => {
                let path = path.display();
                return Err(format!(
                    "unable to configure the daemon with file {path}: open {path}: {error}"
                ));
            }
        }
    }
    Ok(None)
}

/// Reads the text of a file.
fn parse(text: &str) -> Result<Values, String> {
    if text.trim().is_empty() {
        return Ok(Values::new());
    }
    // A byte order mark is what some editors leave.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        format!("line {line}, column {column}: {reason}")
    })?;
    let Value::Object(parsed) = parsed else {
        return Err("expected one JSON object".to_owned());
    };
    let unknown: Vec<&str> = parsed
        .keys()
        .filter(|key| options::by_key(key).is_none())
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "the following directives don't match any configuration option: {}",
            unknown.join(", ")
        ));
    }
    let mut values = Values::new();
    for (key, value) in parsed {
        let Some(option) = options::by_key(&key) else {
            continue;
        };
        option.check(&format!("{key:?}"), &value)?;
        if key == "proxies" {
            values.extend(proxies(value)?);
            continue;
        }
        let wanted = match option.kind {
            Kind::Switch if !value.is_boolean() => "true or false",
            Kind::Text if !value.is_string() && !value.is_number() => "a string",
            Kind::Number if !value.is_i64() => "a whole number",
            Kind::List if !is_list(&value) => "a list of strings",
            Kind::Pools if !value.is_array() => "a list of objects",
            Kind::Pairs if !is_map(&value) => "an object of strings",
            Kind::Ulimits if !value.is_object() => "an object",
            Kind::NetworkOptions
                if !value
                    .as_object()
                    .is_some_and(|all| all.values().all(is_map)) =>
            {
                "an object of objects of strings"
            }
            _ => {
                values.insert(option.name().to_owned(), value);
                continue;
            }
        };
        return Err(format!("{key:?}: expected {wanted}"));
    }
    Ok(values)
}

/// The object of proxies as the options that it stands for.
fn proxies(value: Value) -> Result<Values, String> {
    let wrong = || {
        format!(
            "\"proxies\": expected an object with {}",
            PROXIES.join(", ")
        )
    };
    match value {
        Value::Object(map)
            if is_map(&Value::Object(map.clone()))
                && map.keys().all(|key| PROXIES.contains(&key.as_str())) =>
        {
            Ok(map)
        }
        _ => Err(wrong()),
    }
}

fn is_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

fn is_map(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|map| map.values().all(Value::is_string))
}

/// A value as Docker prints it in its complaint.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let words: Vec<String> = list.iter().map(plain).collect();
            format!("[{}]", words.join(" "))
        }
        Value::Object(map) => {
            let words: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k}:{}", plain(v)))
                .collect();
            format!("map[{}]", words.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn syntax_errors_have_a_place() {
        let error = parse("{\"debug\": true,\n \"hosts\": [\"a\"}").unwrap_err();
        assert!(error.starts_with("line 2, column 15: "), "{error}");
    }

    #[test]
    fn keys_are_refused_by_name() {
        assert_eq!(
            parse(r#"{"debug":true,"foo":1}"#).unwrap_err(),
            "the following directives don't match any configuration option: foo"
        );
        assert_eq!(
            parse(r#"{"metrics-addr":"127.0.0.1:1"}"#).unwrap_err(),
            "option \"metrics-addr\" is not supported yet"
        );
        assert_eq!(
            parse(r#"{"debug":"yes"}"#).unwrap_err(),
            "\"debug\": expected true or false"
        );
        assert_eq!(parse("[]").unwrap_err(), "expected one JSON object");
        assert!(parse(r#"{"default-network-opts":{"bridge":{"a":"b"}}}"#).is_ok());
        assert!(parse(r#"{"default-network-opts":{"bridge":1}}"#).is_err());
        assert!(parse(" \n").unwrap().is_empty());
        assert!(parse(r#"{"experimental":false}"#).is_ok());
    }

    #[test]
    fn flags_and_file_may_not_disagree() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("daemon.json");
        std::fs::write(&file, r#"{"hosts":["unix:///a"],"mtu":1400}"#).unwrap();
        let mut flags = Values::new();
        flags.insert("debug".to_owned(), json!(true));
        let values = merged(Some(&file), &flags).unwrap();
        assert_eq!(values["mtu"], 1400);
        assert_eq!(values["debug"], true);
        flags.insert("host".to_owned(), json!(["unix:///x"]));
        let error = merged(Some(&file), &flags).unwrap_err();
        assert!(
            error.ends_with(
                "the following directives are specified both as a flag and in the configuration \
                 file: hosts: (from flag: [unix:///x], from file: [unix:///a])"
            ),
            "{error}"
        );
    }

    #[test]
    fn proxies_are_an_object_and_show_no_password() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("daemon.json");
        std::fs::write(&file, r#"{"proxies":{"http-proxy":"http://u:pw@a:1"}}"#).unwrap();
        let mut flags = Values::new();
        let values = merged(Some(&file), &flags).unwrap();
        assert_eq!(values["http-proxy"], "http://u:pw@a:1");
        flags.insert("http-proxy".to_owned(), json!("u:pw@b"));
        let error = merged(Some(&file), &flags).unwrap_err();
        assert!(
            error.ends_with(
                "http-proxy: (from flag: xxxxx:xxxxx@b, from file: http://xxxxx:xxxxx@a:1)"
            ),
            "{error}"
        );
        for text in [r#"{"proxies":{"x":"y"}}"#, r#"{"proxies":{"no-proxy":[]}}"#] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with("\"proxies\": expected an object"),
                "{error}"
            );
        }
        assert!(
            parse(r#"{"http-proxy":"a"}"#)
                .unwrap_err()
                .contains("http-proxy")
        );
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = merged(Some(Path::new("/no/such/file")), &Values::new()).unwrap_err();
        assert!(error.contains("open /no/such/file"), "{error}");
    }
}
