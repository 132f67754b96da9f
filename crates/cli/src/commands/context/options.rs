//! `--docker`: a daemon in words.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::args::parse_bool;
use crate::error::Error;
use crate::session::Session;
use crate::settings::{DOCKER_ENDPOINT, Endpoint, Files};

const KEYS: [&str; 6] = ["from", "host", "ca", "cert", "key", "skip-tls-verify"];

/// The endpoint that `--docker` describes, and its keys and certificates.
pub(super) fn endpoint(
    session: &Session,
    texts: &[String],
) -> Result<(Map<String, Value>, Files), Error> {
    let fail = |reason: String| {
        Error::message(format!("unable to create docker endpoint config: {reason}"))
    };
    let options = parse(texts);
    let unknown: Vec<String> = options
        .keys()
        .filter(|key| !KEYS.contains(&key.as_str()))
        .map(|key| format!("unrecognized config key: {key}"))
        .collect();
    if !unknown.is_empty() {
        return Err(fail(unknown.join("\n")));
    }
    let option = |key: &str| options.get(key).map_or("", String::as_str);
    if options.contains_key("from") {
        let name = option("from");
        let meta = super::get(session, name).map_err(|error| fail(error.to_string()))?;
        let found = meta.endpoints.get(DOCKER_ENDPOINT).cloned();
        let found =
            found.ok_or_else(|| fail(format!("unable to get endpoint from context {name:?}")))?;
        return Ok((found, Files::new()));
    }
    let skip = match option("skip-tls-verify") {
        "" => false,
        text => parse_bool(text)
            .ok_or_else(|| fail(format!("skip-tls-verify: parsing {text:?}: invalid syntax")))?,
    };
    let host = option("host");
    if !host.is_empty() {
        Endpoint::parse(host, None)
            .map_err(|error| fail(format!("unable to apply docker endpoint options: {error}")))?;
    }
    let mut files = Files::new();
    for (key, name) in [("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")] {
        let path = option(key);
        if !path.is_empty() {
            let bytes = std::fs::read(path)
                .map_err(|_| fail(format!("open {path}: no such file or directory")))?;
            files.insert(name.to_owned(), bytes);
        }
    }
    let mut fields = Map::new();
    if !host.is_empty() {
        fields.insert("Host".to_owned(), json!(host));
    }
    fields.insert("SkipTLSVerify".to_owned(), json!(skip));
    Ok((fields, files))
}

/// `key=value,key=value`, any number of times.
fn parse(texts: &[String]) -> BTreeMap<String, String> {
    let fields = texts.iter().flat_map(|text| text.split(','));
    fields
        .filter(|field| !field.is_empty())
        .map(|field| {
            let (key, value) = field.split_once('=').unwrap_or((field, ""));
            (key.to_owned(), value.to_owned())
        })
        .into_map()
}
