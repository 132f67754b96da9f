//! The third part of `source:target:mode`: words, each kind of them at most once.

use std::collections::BTreeSet;

use super::Owners;
use crate::error::{Error, Result};

const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

/// The propagation of a bind that does not say.
pub(super) const PRIVATE: &str = "rprivate";

/// The words, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) read_only: bool,
    pub(super) propagation: Option<String>,
    pub(super) no_copy: bool,
    pub(super) owners: Option<Owners>,
}

impl Mode {
    /// Reads the words. `z`, `Z`, `consistent`, `cached` and `delegated` mean
    /// nothing here.
    ///
    /// # Errors
    /// `Invalid` for a word that is none, or one too many.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut mode = Self::default();
        let mut seen = BTreeSet::new();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let kind = match word {
                "ro" | "rw" => {
                    mode.read_only = word == "ro";
                    "access"
                }
                "z" | "Z" => "label",
                "consistent" | "cached" | "delegated" => "consistency",
                "nocopy" => {
                    mode.no_copy = true;
                    "copy"
                }
                _ if is_propagation(word) => {
                    mode.propagation = Some(word.to_owned());
                    "propagation"
                }
                _ => match Owners::of_word(word) {
                    Some(owners) => {
                        mode.owners = Some(owners?);
                        "owners"
                    }
                    None => return Err(invalid(text)),
                },
            };
            if !seen.insert(kind) {
                return Err(invalid(text));
            }
        }
        Ok(mode)
    }
}

/// What is said of a mode that is none.
pub(super) fn invalid(text: &str) -> Error {
    Error::Invalid(format!("invalid mode: {text}"))
}

/// Whether it names a propagation.
pub(super) fn is_propagation(word: &str) -> bool {
    PROPAGATIONS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_word_stands_once() {
        let mode = Mode::parse("ro,z,nocopy,cached").unwrap();
        assert!(mode.read_only && mode.no_copy && mode.propagation.is_none());
        let mode = Mode::parse("rw,rslave").unwrap();
        assert_eq!(mode.propagation.as_deref(), Some("rslave"));
        assert_eq!(Mode::parse("").unwrap(), Mode::default());
        for wrong in ["zz", "ro,rw", "nocopy,nocopy", "z,Z", "bind", "copy", "ro,"] {
            let error = Mode::parse(wrong).unwrap_err().to_string();
            assert_eq!(error, format!("invalid mode: {wrong}"));
        }
    }
}
