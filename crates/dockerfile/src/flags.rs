//! `--name=value` before the arguments of an instruction.
//!
//! An instruction says which flags it knows, reads them, and has then refused
//! every other one, every second one, and every one without a proper value.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::suggest::Case;

/// What may stand behind a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, `true` or `false`.
    Switch,
    /// A value.
    Value,
    /// A value, and the flag again.
    Values,
}

/// The flags of one instruction.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Flags {
    /// Reads `given` by the table of `known` flags.
    pub(crate) fn read(given: &[String], known: &[(&'static str, Kind)]) -> Result<Self, Error> {
        let mut values: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for flag in given {
            let (written, value) = match flag.split_once('=') {
                Some((written, value)) => (written, Some(value)),
                None => (flag.as_str(), None),
            };
            let name = written.strip_prefix("--").unwrap_or(written);
            let Some((name, kind)) = known.iter().copied().find(|(known, _)| *known == name) else {
                let error = Error::new(format!("unknown flag: {written}"));
                let names = known.iter().map(|(name, _)| *name);
                return Err(error.suggest(name, names, Case::Sensitive));
            };
            let seen = values.entry(name).or_default();
            if !seen.is_empty() && kind != Kind::Values {
                return Err(Error::new(format!("duplicate flag specified: {written}")));
            }
            seen.push(checked(written, value, kind)?);
        }
        Ok(Self { values })
    }

    /// The names of those that were given.
    pub(crate) fn used(&self) -> Vec<&'static str> {
        self.values.keys().copied().collect()
    }

    /// The value of a flag; `None` without one, and for an empty one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name)?.first()?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// All values of a flag.
    pub(crate) fn values(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// What a switch says, if it was given.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| value == "true")
    }
}

fn checked(written: &str, value: Option<&str>, kind: Kind) -> Result<String, Error> {
    let missing = || Error::new(format!("missing a value on flag: {written}"));
    match (kind, value) {
        (Kind::Switch, None) => Ok("true".to_owned()),
        (Kind::Switch, Some("")) | (Kind::Value | Kind::Values, None) => Err(missing()),
        (Kind::Switch, Some(value)) => match value.to_lowercase().as_str() {
            word @ ("true" | "false") => Ok(word.to_owned()),
            _ => Err(Error::new(format!(
                "expecting boolean value for flag {written}, not: {value}"
            ))),
        },
        (Kind::Value | Kind::Values, Some(value)) => Ok(value.to_owned()),
    }
}
