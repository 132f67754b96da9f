//! The rules of `docker build --check`: what works and should be written
//! otherwise.
//!
//! Names, texts and lines are BuildKit's, and so is the order: first what the
//! text alone shows, then `FROM`s, then stage after stage as they would be built.

mod bases;
mod options;
mod report;
mod rules;
mod stages;
mod text;

use std::collections::{BTreeMap, BTreeSet};

pub use options::Options;
pub use report::Report;
pub use rules::Rule;
pub(crate) use stages::Seen;

use crate::error::{Error, Span};
use crate::globals::Globals;
use crate::graph::Graph;
use crate::ignore::Patterns;
use crate::instruction::Dockerfile;
use crate::parse::parse_so_far;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What is wrong here.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// What a base image brings along.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base {
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// Whether it has a `SHELL`.
    pub has_shell: bool,
    /// Its triggers.
    pub triggers: Vec<String>,
    /// Its platform, as `os/architecture`.
    pub platform: Option<String>,
}

/// Looks up an image by its reference, for a platform or the default one.
pub type Images<'a> = dyn Fn(&str, Option<&str>) -> Result<Base, Error> + 'a;

/// What rules have to know of a build.
pub struct Setting<'a> {
    /// What every build has: see [`crate::PLATFORM_ARGS`].
    pub predefined: &'a [(&'a str, String)],
    /// `--build-arg`.
    pub build_args: &'a BTreeMap<String, String>,
    /// The names of the user's contexts.
    pub contexts: &'a BTreeSet<String>,
    /// The ignore file of the main context.
    pub ignored: &'a Patterns,
    /// The only stage to look at, with what it needs; `None` for all.
    pub target: Option<&'a str>,
    /// The images; an error ends the check.
    pub image: &'a Images<'a>,
    /// Options that go before those of the file.
    pub options: Option<&'a str>,
}

/// Looks at a file. What is wrong enough to end a build ends the check, and is
/// part of the report.
pub fn check(bytes: &[u8], setting: &Setting<'_>) -> Report {
    let mut linter = Linter::default();
    let error = run(bytes, setting, true, &mut linter).err();
    Report {
        findings: linter.findings,
        error,
        fails: linter.options.error,
    }
}

/// A file whose stages have been followed to their end.
pub(crate) struct Followed {
    pub(crate) file: Dockerfile,
    pub(crate) globals: Globals,
    pub(crate) graph: Graph,
    pub(crate) seen: Vec<Seen>,
}

/// Follows the target, or the last stage, without a word about rules. Fails
/// where a build would.
pub(crate) fn follow(bytes: &[u8], setting: &Setting<'_>) -> Result<Followed, Error> {
    run(bytes, setting, false, &mut Linter::default())
}

/// `whole` follows all stages when there is no target.
fn run(
    bytes: &[u8],
    setting: &Setting<'_>,
    whole: bool,
    linter: &mut Linter,
) -> Result<Followed, Error> {
    if bytes.is_empty() {
        return Err(Error::new("the Dockerfile cannot be empty"));
    }
    let (file, error) = parse_so_far(bytes)?;
    let options = setting.options.or(file.directives.check.as_deref());
    linter.options = Options::parse(options.unwrap_or_default())
        .map_err(|error| error.context("failed to parse check options"))?;
    text::continuations(&file, linter);
    text::instructions(&file, linter);
    if let Some(error) = error {
        return Err(error);
    }
    if file.stages.is_empty() {
        return Err(Error::new("dockerfile contains no stages to build"));
    }
    text::stage_names(&file, linter);
    text::casing(&file, linter);
    bases::defaults(&file, setting, linter);
    let globals = Globals::new(&file, setting.predefined, setting.build_args)?;
    bases::arguments(&file, &globals, linter);
    let mut graph = Graph::new(&file, &globals, setting.contexts.clone())?;
    let wanted = match setting.target {
        None if whole => (0..file.stages.len()).collect(),
        target => graph.needed(graph.target(target)?)?,
    };
    let seen = stages::all(&file, &globals, &mut graph, wanted, setting, linter)?;
    Ok(Followed {
        file,
        globals,
        graph,
        seen,
    })
}

/// Collects findings, except those that nobody wants to hear.
#[derive(Debug, Default)]
struct Linter {
    options: Options,
    findings: Vec<Finding>,
}

impl Linter {
    fn report(&mut self, rule: &'static Rule, span: Span, comments: &[String], text: String) {
        if self.options.wants(rule) && !options::skipped_by(comments, rule) {
            self.findings.push(Finding { rule, text, span });
        }
    }
}

#[cfg(test)]
mod tests;
