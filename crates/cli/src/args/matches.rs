//! The flags of one command line, checked, and what was left.

use super::flag::{Flag, parse_bool};

/// What the parser found.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    pub(crate) values: Vec<(&'static str, String)>,
    pub(crate) operands: Vec<String>,
    pub(crate) flags: Vec<&'static Flag>,
}

impl Matches {
    /// Of a command line without any flag.
    pub(crate) fn of(flags: &'static [Flag]) -> Self {
        Self {
            flags: flags.iter().collect(),
            ..Self::default()
        }
    }

    /// Whether the flag was given.
    pub(crate) fn changed(&self, name: &str) -> bool {
        debug_assert!(
            self.flags.iter().any(|flag| flag.long == name),
            "--{name} is no flag of this command"
        );
        self.values.iter().any(|(long, _)| *long == name)
    }

    /// The last value given, else the default of the table.
    pub(crate) fn text(&self, name: &str) -> &str {
        let given = self.values.iter().rev().find(|(long, _)| *long == name);
        match given {
            Some((_, value)) => value,
            None => self
                .flags
                .iter()
                .find(|flag| flag.long == name)
                .map_or("", |flag| flag.default),
        }
    }

    pub(crate) fn bool(&self, name: &str) -> bool {
        parse_bool(self.text(name)).unwrap_or(false)
    }

    /// A whole number; 0 when neither given nor defaulted.
    pub(crate) fn int(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// A whole number, when the flag was given.
    pub(crate) fn given_int(&self, name: &str) -> Option<i64> {
        self.changed(name).then(|| self.int(name))
    }

    /// Every value given, in order.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.values
            .iter()
            .filter(|(long, _)| *long == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Every value given, as a nullable list of a body.
    pub(crate) fn optional_list(&self, name: &str) -> Option<Vec<String>> {
        Some(self.list(name)).filter(|list| !list.is_empty())
    }
}
