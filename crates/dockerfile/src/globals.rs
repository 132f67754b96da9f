//! What `FROM` can say by a variable: the arguments before the first stage, and
//! those that every build has.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Span};
use crate::instruction::Dockerfile;
use crate::shell::expansion;

/// What a build says about platforms, without being told.
pub const PLATFORM_ARGS: [&str; 11] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// Arguments that every step sees without an `ARG`, and that no cache key and no
/// history holds.
pub const PROXY_ARGS: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// One argument before the first `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// What it is now, if anything.
    pub value: Option<String>,
    /// The comment that describes it.
    pub description: Option<String>,
    /// The lines of the `ARG`.
    pub span: Span,
    /// The arguments that its default is made of.
    pub uses: BTreeSet<String>,
}

/// All of them, evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Globals {
    values: BTreeMap<String, String>,
    declared: BTreeMap<String, Global>,
}

impl Globals {
    /// `predefined` are the arguments that every build has, `given` those of the
    /// user, which win. Fails on a default that cannot be expanded.
    pub fn new(
        file: &Dockerfile,
        predefined: &[(&str, String)],
        given: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let mut globals = Self::default();
        for (name, value) in predefined {
            let value = given.get(*name).unwrap_or(value);
            globals.values.insert((*name).to_owned(), value.clone());
        }
        for arg in &file.meta_args {
            let name = arg.name.as_str();
            let (value, uses) = match (given.get(name), &arg.default) {
                (Some(given), _) => (Some(given.clone()), BTreeSet::new()),
                (None, None) => (None, BTreeSet::new()),
                (None, Some(default)) => {
                    let done = expansion(default, file.escape(), &|name| globals.value(name))
                        .map_err(|error| error.at(arg.span))?;
                    (Some(done.text), globals.uses(name, done.found))
                }
            };
            if let Some(value) = &value {
                globals.values.insert(name.to_owned(), value.clone());
            }
            let global = Global {
                value,
                description: arg.description.clone(),
                span: arg.span,
                uses,
            };
            globals.declared.insert(name.to_owned(), global);
        }
        Ok(globals)
    }

    /// An argument that is made of its former self uses what that one used.
    fn uses(&self, name: &str, mut found: BTreeSet<String>) -> BTreeSet<String> {
        if found.remove(name)
            && let Some(former) = self.declared.get(name)
        {
            found.extend(former.uses.iter().cloned());
        }
        found
    }

    /// The value of an argument.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of an argument, for [`crate::expand`].
    pub fn value(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// The names that have a value.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// What the file declares, by name.
    pub fn declared(&self) -> &BTreeMap<String, Global> {
        &self.declared
    }
}
