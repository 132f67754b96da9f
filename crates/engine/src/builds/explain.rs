//! Why a step was not in the cache: what its place depended on, and on what it depends
//! now.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

/// The longest value that is shown.
const SHOWN: usize = 60;

type Parts = Vec<(String, String)>;

/// Why a step is run, in words: what its place depended on before, and what it depends
/// on now.
pub fn reason(before: Option<&Parts>, now: &Parts) -> String {
    let Some(before) = before else {
        return "this step was not built before".to_owned();
    };
    let old: BTreeMap<&str, &str> = pairs(before);
    let new: BTreeMap<&str, &str> = pairs(now);
    let mut reasons = Vec::new();
    for (name, value) in &new {
        match old.get(name) {
            None => reasons.push(format!("{name} is new")),
            Some(other) if other != value => reasons.push(changed(name, other, value)),
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    reasons.extend(gone.map(|name| format!("{name} is gone")));
    match reasons.is_empty() {
        true => "its result is not there any more, or is not to be used".to_owned(),
        false => reasons.join("; "),
    }
}

fn changed(name: &str, old: &str, new: &str) -> String {
    let opaque = |value: &str| value.starts_with("sha256:") || value.len() > SHOWN;
    match (name, opaque(old) || opaque(new)) {
        ("below", _) => "the layers below it have changed".to_owned(),
        (name, true) => format!("{name} changed"),
        (name, false) => format!("{name} changed from {old:?} to {new:?}"),
    }
}

fn pairs(parts: &Parts) -> BTreeMap<&str, &str> {
    let pairs = parts.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .into_map()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_names_what_has_changed() {
        let parts = |pairs: &[(&str, &str)]| -> Parts {
            let owned = pairs.iter();
            owned
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let old = parts(&[("below", "sha256:1"), ("argument 0", "a"), ("user", "x")]);
        let new = parts(&[
            ("below", "sha256:2"),
            ("argument 0", "b"),
            ("variable A", "1"),
        ]);
        assert_eq!(
            reason(Some(&old), &new),
            "argument 0 changed from \"a\" to \"b\"; the layers below it have changed; variable A \
             is new; user is gone"
        );
        assert_eq!(reason(None, &new), "this step was not built before");
    }
}
