//! `# check=skip=RuleA,RuleB;error=true`: which rules count.

use super::rules::Rule;
use crate::directives::directive;
use crate::error::Error;

/// What is asked of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The rules that do not count.
    pub skip: Vec<String>,
    /// Whether none does.
    pub skip_all: bool,
    /// The experimental rules that count.
    pub experimental: Vec<String>,
    /// Whether all of them do.
    pub experimental_all: bool,
    /// Whether a finding ends the build.
    pub error: bool,
}

impl Options {
    /// Reads the value of the directive. Fails on what it does not know.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut options = Self::default();
        // What stands behind a space is no part of it.
        let text = text.trim().split(' ').next().unwrap_or_default();
        if text.is_empty() {
            return Ok(options);
        }
        for part in text.splitn(3, ';') {
            let (key, value) = part.split_once('=').ok_or_else(|| invalid(part))?;
            let value = value.trim();
            let rules = || {
                value
                    .split(',')
                    .map(|rule| rule.trim().to_owned())
                    .collect()
            };
            match key.trim() {
                "skip" if value == "all" => options.skip_all = true,
                "skip" => options.skip = rules(),
                "experimental" if value == "all" => options.experimental_all = true,
                "experimental" => options.experimental = rules(),
                "error" => options.error = boolean(part, value)?,
                key => return Err(invalid(key)),
            }
        }
        Ok(options)
    }

    pub(super) fn wants(&self, rule: &Rule) -> bool {
        let named = |rules: &[String]| rules.iter().any(|name| name == rule.name);
        if rule.experimental {
            return self.experimental_all || named(&self.experimental);
        }
        !self.skip_all && !named(&self.skip)
    }
}

/// Whether a comment above an instruction says that a rule does not count there.
pub(super) fn skipped_by(comments: &[String], rule: &Rule) -> bool {
    comments
        .iter()
        .filter_map(|comment| directive(comment))
        .find(|(name, _)| *name == "check")
        .and_then(|(_, value)| Options::parse(value).ok())
        .is_some_and(|options| !rule.experimental && !options.wants(rule))
}

fn invalid(option: &str) -> Error {
    let option = crate::shell::quoted(option);
    Error::new(format!("invalid check option {option}"))
}

fn boolean(part: &str, value: &str) -> Result<bool, Error> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => {
            let (part, value) = (crate::shell::quoted(part), crate::shell::quoted(value));
            Err(Error::new(format!(
                "failed to parse check option {part}: strconv.ParseBool: parsing {value}: invalid syntax"
            )))
        }
    }
}
