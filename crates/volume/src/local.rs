//! The driver `local`: the options of a volume, and what they make of it.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// What a volume's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// Its directory.
    Directory,
    /// Something that is mounted while it is used.
    Mount {
        /// The file system, such as `nfs` or `tmpfs`.
        kind: String,
        /// What is mounted.
        device: String,
        /// With which options.
        options: Vec<String>,
    },
}

impl Backing {
    /// Whether it is another directory of the host.
    pub fn is_bind(&self) -> bool {
        self.bound().is_some()
    }

    /// The directory of the host that it is, if it is another one.
    pub fn bound(&self) -> Option<&str> {
        let is = |option: &String| option == "bind" || option == "rbind";
        match self {
            Self::Mount {
                device, options, ..
            } if options.iter().any(is) => Some(device),
            _ => None,
        }
    }
}

/// Reads the options of the volume `name`.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn backing(name: &str, options: &BTreeMap<String, String>) -> Result<Backing> {
    let invalid = |why: String| Error::Invalid {
        name: name.to_owned(),
        why,
    };
    let known = ["type", "o", "device", "size"];
    if let Some(key) = options.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(invalid(format!("invalid option: \"{key}\"")));
    }
    if let Some(size) = options.get("size") {
        return Err(invalid(match is_size(size) {
            true => "quota size requested but no quota support".to_owned(),
            false => format!("invalid size: '{size}'"),
        }));
    }
    if options.is_empty() {
        return Ok(Backing::Directory);
    }
    let needed = |key: &str| {
        let value = options.get(key).filter(|value| !value.is_empty());
        let missing = || invalid(format!("missing required option: \"{key}\""));
        value.cloned().ok_or_else(missing)
    };
    let device = needed("device")?;
    let words = options.get("o").map(String::as_str).unwrap_or_default();
    Ok(Backing::Mount {
        kind: needed("type")?,
        device,
        options: words
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

/// Digits (with a fraction), and a unit.
fn is_size(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[number.len()..].trim().to_ascii_lowercase();
    let units = [
        "", "b", "k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib", "t", "tb", "tib",
    ];
    number.parse::<f64>().is_ok_and(|number| number >= 0.0) && units.contains(&unit.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Backing> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        backing("vol", &pairs.collect())
    }

    #[test]
    fn options_say_what_is_mounted() {
        assert_eq!(read(&[]).unwrap(), Backing::Directory);
        let tmpfs = read(&[
            ("type", "tmpfs"),
            ("device", "tmpfs"),
            ("o", "size=1m,uid=5"),
        ]);
        let tmpfs = tmpfs.unwrap();
        assert!(!tmpfs.is_bind());
        assert_eq!(
            tmpfs,
            Backing::Mount {
                kind: "tmpfs".to_owned(),
                device: "tmpfs".to_owned(),
                options: vec!["size=1m".to_owned(), "uid=5".to_owned()],
            }
        );
        let bind = read(&[("type", "none"), ("device", "/x"), ("o", "bind")]);
        assert!(bind.unwrap().is_bind());
    }

    #[test]
    fn wrong_options_are_refused_in_dockers_words() {
        for (pairs, why) in [
            (&[("foo", "bar")][..], "invalid option: \"foo\""),
            (&[("type", "tmpfs")], "missing required option: \"device\""),
            (&[("device", "/x")], "missing required option: \"type\""),
            (&[("o", "bind")], "missing required option: \"device\""),
            (
                &[("size", "1m")],
                "quota size requested but no quota support",
            ),
            (&[("size", "zz")], "invalid size: 'zz'"),
        ] {
            let text = read(pairs).unwrap_err().to_string();
            assert_eq!(text, format!("create vol: {why}"));
        }
    }
}
