//! What is said of a container beside its output: labels and variables that
//! options choose, and the tag.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

use regex_lite::Regex;

use super::{Options, Subject, invalid};
use crate::error::Result;
use crate::tag;

/// The pairs that `labels`, `env` and their patterns choose.
pub(super) fn chosen(options: &Options, subject: &Subject<'_>) -> Result<BTreeMap<String, String>> {
    let env: BTreeMap<String, String> = subject
        .env
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_map();
    let mut chosen = BTreeMap::new();
    for (names, pattern, pairs) in [
        ("labels", "labels-regex", &subject.labels),
        ("env", "env-regex", &env),
    ] {
        // As Docker: a wrong pattern is not looked at where there is no variable.
        if pairs.is_empty() && names == "env" {
            continue;
        }
        let mut choose = |wanted: &dyn Fn(&str) -> bool| {
            let found = pairs.iter().filter(|(key, _)| wanted(key));
            chosen.extend(found.map(|(key, value)| (key.clone(), value.clone())));
        };
        if let Some(names) = options.get(names) {
            choose(&|key| names.split(',').any(|name| name == key));
        }
        if let Some(pattern) = options.get(pattern).filter(|pattern| !pattern.is_empty()) {
            let pattern = Regex::new(pattern)
                .map_err(|error| invalid(format!("error parsing regexp: {error}")))?;
            choose(&|key| pattern.is_match(key));
        }
    }
    Ok(chosen)
}

/// What `tag` means, or else `default`.
pub(super) fn tag(options: &Options, default: &str, subject: &Subject<'_>) -> Result<String> {
    let given = options.get("tag").filter(|template| !template.is_empty());
    tag::render(given.map_or(default, String::as_str), subject).map_err(invalid)
}
