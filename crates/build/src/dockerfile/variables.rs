//! Arguments and environment: what a word in a Dockerfile may stand for.

use std::collections::BTreeMap;

pub(super) use gantry_dockerfile::config::{env_value, set_env};
use gantry_dockerfile::{PROXY_ARGS, Span, Word, expand};
use gantry_types::Platform;

use super::placed;
use crate::Result;

/// Whether an argument needs no declaration to reach commands, and is not remembered.
pub(super) fn is_predefined(name: &str) -> bool {
    PROXY_ARGS.contains(&name) || ["SOURCE_DATE_EPOCH", "BUILDKIT_INLINE_CACHE"].contains(&name)
}

/// What is known in one place of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// `NAME=value` of the configuration.
    pub(super) env: Vec<String>,
    /// Declared arguments in the order of their declaration.
    pub(super) args: Vec<(String, Option<String>)>,
    /// What commands see, `NAME=value`, in the words of BuildKit: there an argument and
    /// a variable hide each other, whichever comes last, and stages inherit both.
    pub(super) seen: Option<Vec<String>>,
}

impl Scope {
    pub(super) fn lookup(&self, name: &str) -> Option<String> {
        if let Some(seen) = &self.seen {
            return env_value(seen, name);
        }
        env_value(&self.env, name).or_else(|| {
            let mut args = self.args.iter().rev();
            let found = args.find(|(known, _)| known == name);
            found.and_then(|(_, value)| value.clone())
        })
    }

    /// Declares an argument, or gives it another value.
    pub(super) fn declare(&mut self, name: &str, value: Option<String>) {
        if let (Some(seen), Some(value)) = (&mut self.seen, &value) {
            set_env(seen, name, value);
        }
        match self.args.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.args.push((name.to_owned(), value)),
        }
    }

    /// The configuration has these variables now, of which some are `named` anew.
    pub(super) fn set(&mut self, env: Vec<String>, named: &[String]) {
        if let Some(seen) = &mut self.seen {
            for name in named {
                if let Some(value) = env_value(&env, name) {
                    set_env(seen, name, &value);
                }
            }
        }
        self.env = env;
    }

    /// Expands a word.
    pub(super) fn expand(&self, word: &Word, escape: char, span: Span) -> Result<String> {
        expand(word, escape, &|name| self.lookup(name)).map_err(|error| placed(error, span))
    }
}

/// The arguments that say on what and for what is built.
pub(super) fn platform_args(target: &Platform, stage: &str) -> BTreeMap<String, String> {
    let host = Platform::host();
    let mut args = BTreeMap::new();
    for (prefix, platform) in [("TARGET", target), ("BUILD", &host)] {
        let variant = platform.variant.clone().unwrap_or_default();
        args.insert(format!("{prefix}PLATFORM"), platform.to_string());
        args.insert(format!("{prefix}OS"), platform.os.clone());
        args.insert(format!("{prefix}ARCH"), platform.architecture.clone());
        args.insert(format!("{prefix}VARIANT"), variant);
    }
    let stage = if stage.is_empty() { "default" } else { stage };
    args.insert("TARGETSTAGE".to_owned(), stage.to_owned());
    args
}
