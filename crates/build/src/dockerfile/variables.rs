//! Arguments and environment: what a word in a Dockerfile may stand for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_dockerfile::{PROXY_ARGS, Span, Word, expand};
use gantry_types::Platform;

use super::placed;
use crate::Result;

/// Whether an argument needs no declaration to reach commands, and is not remembered.
pub(super) fn is_predefined(name: &str) -> bool {
    PROXY_ARGS.contains(&name) || ["SOURCE_DATE_EPOCH", "BUILDKIT_INLINE_CACHE"].contains(&name)
}

/// Variables in the order in which they were first set, found by their names: a file may
/// set thousands. Those who have cloned them share them until one sets another.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(Arc<Set>);

#[derive(Debug, Clone, Default)]
struct Set {
    list: Vec<String>,
    places: HashMap<String, usize>,
}

impl Variables {
    /// Those of `NAME=value`s.
    pub(super) fn of(list: &[String]) -> Self {
        let mut set = Set::default();
        for variable in list {
            let name = variable.split_once('=').map(|(name, _)| name);
            if let Some(name) = name {
                // Of two the first one counts.
                let place = set.list.len();
                set.places.entry(name.to_owned()).or_insert(place);
            }
            set.list.push(variable.clone());
        }
        Self(Arc::new(set))
    }

    /// `NAME=value` each.
    pub(super) fn list(&self) -> &Vec<String> {
        &self.0.list
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let variable = self.0.list.get(*self.0.places.get(name)?)?;
        variable.get(name.len() + 1..)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        let set = Arc::make_mut(&mut self.0);
        let text = format!("{name}={value}");
        match set.places.get(name) {
            Some(place) => set.list[*place] = text,
            None => {
                set.places.insert(name.to_owned(), set.list.len());
                set.list.push(text);
            }
        }
    }
}

/// What is known in one place of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Those of the configuration.
    pub(super) env: Variables,
    /// Declared arguments in the order of their declaration.
    pub(super) args: Vec<(String, Option<String>)>,
    /// What commands see, in the words of BuildKit: there an argument and a variable hide
    /// each other, whichever comes last, and stages inherit both.
    pub(super) seen: Option<Variables>,
}

impl Scope {
    pub(super) fn lookup(&self, name: &str) -> Option<String> {
        if let Some(seen) = &self.seen {
            return seen.value(name).map(str::to_owned);
        }
        self.env.value(name).map(str::to_owned).or_else(|| {
            let mut args = self.args.iter().rev();
            let found = args.find(|(known, _)| known == name);
            found.and_then(|(_, value)| value.clone())
        })
    }

    /// Declares an argument, or gives it another value.
    pub(super) fn declare(&mut self, name: &str, value: Option<String>) {
        if let (Some(seen), Some(value)) = (&mut self.seen, &value) {
            seen.set(name, value);
        }
        match self.args.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.args.push((name.to_owned(), value)),
        }
    }

    /// The configuration has this variable now.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if let Some(seen) = &mut self.seen {
            seen.set(name, value);
        }
        self.env.set(name, value);
    }

    /// Expands a word.
    pub(super) fn expand(&self, word: &Word, escape: char, span: Span) -> Result<String> {
        expand(word, escape, &|name| self.lookup(name)).map_err(|error| placed(error, span))
    }
}

/// The arguments that say on what and for what is built.
pub(super) fn platform_args(target: &Platform, stage: Option<&str>) -> BTreeMap<String, String> {
    let host = Platform::host();
    let mut args = BTreeMap::new();
    for (prefix, platform) in [("TARGET", target), ("BUILD", &host)] {
        let variant = platform.variant.clone().unwrap_or_default();
        args.insert(format!("{prefix}PLATFORM"), platform.to_string());
        args.insert(format!("{prefix}OS"), platform.os.clone());
        args.insert(format!("{prefix}ARCH"), platform.architecture.clone());
        args.insert(format!("{prefix}VARIANT"), variant);
    }
    if let Some(stage) = stage {
        let stage = if stage.is_empty() { "default" } else { stage };
        args.insert("TARGETSTAGE".to_owned(), stage.to_owned());
    }
    args
}
