//! Which stage needs which: bases, `COPY --from`, `RUN --mount=from=`.
//!
//! A name is the stage that has it, then a context that the user named, then an
//! image. What `FROM` names must stand above; the others may name any stage, and
//! are refused when the order then cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use gantry_types::{Platform, Reference};

use crate::error::{Error, Span};
use crate::globals::Globals;
use crate::instruction::{Command, Dockerfile, Instruction, Stage, Word};
use crate::parse::parse_instruction;
use crate::shell::{Expansion, expand, expansion, quoted};
use crate::suggest::{Case, nearest};

/// Far more than anybody has.
const MAX_STAGES: usize = 10_000;

/// Far more triggers than all stages of anybody's file inherit.
const MAX_TRIGGERS: usize = 100_000;

/// The image that is nothing.
const SCRATCH: &str = "scratch";

/// Images that are often meant.
const COMMON_IMAGES: [&str; 7] = [
    "alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora",
];

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A stage, by its number.
    Stage(usize),
    /// Nothing at all.
    Scratch,
    /// A context that the user named.
    Context(String),
    /// An image.
    Image(String),
}

/// One stage, its `FROM` expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, or `stage-N` without one.
    pub name: String,
    /// The base as it is after expansion.
    pub base: String,
    /// What the base is. A stage that the user has replaced by a context has
    /// that as its base, and does nothing.
    pub source: Source,
    /// Whether a context of the user stands for the whole stage.
    pub replaced: bool,
    /// `--platform`, expanded and known to be one.
    pub platform: Option<String>,
    /// The arguments that its `FROM` is made of.
    pub used_args: BTreeSet<String>,
    /// The triggers that the stage below it keeps, to be run first.
    pub triggers: Vec<Instruction>,
    /// Where else its files come from.
    pub uses: Vec<Use>,
}

/// One reference of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// What is named.
    pub source: Source,
    /// As it is written.
    pub written: String,
    /// The number of the mount, `None` for `COPY`.
    pub mount: Option<usize>,
    /// The lines of the instruction.
    pub span: Span,
}

/// The stages of a file and what they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<Node>,
    /// The last stage of each name.
    names: BTreeMap<String, usize>,
    contexts: BTreeSet<String>,
}

impl Graph {
    /// Resolves every reference that the text alone decides. `contexts` are the
    /// names of the contexts that the user gives. Fails, with the lines at
    /// fault, on bases that are empty or cannot be expanded, platforms that are
    /// none, stages that do not exist, and stages that need themselves.
    pub fn new(
        file: &Dockerfile,
        globals: &Globals,
        contexts: BTreeSet<String>,
    ) -> Result<Self, Error> {
        let mut graph = Self {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            contexts,
        };
        if file.stages.len() > MAX_STAGES {
            return Err(Error::new("the Dockerfile has too many stages"));
        }
        for (number, stage) in file.stages.iter().enumerate() {
            let node = graph
                .node(file, stage, globals)
                .map_err(|error| error.at(stage.span))?;
            graph.nodes.push(node);
            if let Some(name) = &stage.name {
                graph.names.insert(name.clone(), number);
            }
        }
        let mut inherited = 0;
        for (number, stage) in file.stages.iter().enumerate() {
            inherited += graph.resolve(number, stage, file)?;
            if inherited > MAX_TRIGGERS {
                return Err(Error::new("the stages inherit too many triggers").at(stage.span));
            }
        }
        graph.check_circles()?;
        Ok(graph)
    }

    /// The stages, in the order of the file.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The stage that a user means, by name in any case or by number; the last
    /// one when nothing is said. Fails when there is none of that name.
    pub fn target(&self, wanted: Option<&str>) -> Result<usize, Error> {
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
            return Ok(self.nodes.len().saturating_sub(1));
        };
        let number = || wanted.parse().ok().filter(|at| *at < self.nodes.len());
        self.stage_named(wanted).or_else(number).ok_or_else(|| {
            let wrong = format!("target stage {} could not be found", quoted(wanted));
            Error::new(wrong).suggest(wanted, self.stage_names(), Case::Sensitive)
        })
    }

    /// The stages that `target` needs, itself included, in the order in which
    /// they can be built. Fails when one needs files of a later one.
    pub fn needed(&self, target: usize) -> Result<Vec<usize>, Error> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open = vec![target];
        while let Some(number) = open.pop() {
            let (Some(node), Some(seen)) = (self.nodes.get(number), needed.get_mut(number)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            for reference in &node.uses {
                if let Source::Stage(other) = reference.source {
                    if other >= number {
                        return Err(self.too_early(number, reference));
                    }
                    open.push(other);
                }
            }
            if let Source::Stage(other) = node.source {
                open.push(other);
            }
        }
        Ok((0..needed.len()).filter(|number| needed[*number]).collect())
    }

    /// What an instruction refers to: the source of a `COPY --from`, and those
    /// of the mounts of a `RUN` that name one. Fails on a number that no stage
    /// has, and on variables, which are not allowed there.
    pub fn uses(&self, instruction: &Instruction, escape: char) -> Result<Vec<Use>, Error> {
        let span = instruction.span;
        let found = match &instruction.command {
            Command::Copy(copy) => match &copy.from {
                Some(from) => vec![self.copied(from, span, escape)?],
                None => Vec::new(),
            },
            Command::Run(run) => {
                let mounts = run.mounts.iter().enumerate();
                mounts
                    .filter_map(|(number, mount)| {
                        let from = mount.from()?;
                        Some(Use {
                            source: self.source(from),
                            written: from.to_owned(),
                            mount: Some(number),
                            span,
                        })
                    })
                    .collect()
            }
            _ => Vec::new(),
        };
        Ok(found)
    }

    /// Adds what a trigger of a base image needs to a stage.
    pub fn add_uses(&mut self, stage: usize, uses: Vec<Use>) {
        if let Some(node) = self.nodes.get_mut(stage) {
            node.uses.extend(uses);
        }
    }

    /// The stage or well-known image that was probably meant by a name that is
    /// neither a stage nor an image that exists.
    pub fn did_you_mean(&self, name: &str) -> Option<String> {
        let latest = COMMON_IMAGES.map(|image| format!("{image}:latest"));
        let options = self
            .stage_names()
            .chain(COMMON_IMAGES)
            .chain(latest.iter().map(String::as_str));
        nearest(name, options, Case::Sensitive)
    }

    fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// The last stage of a name.
    fn stage_named(&self, name: &str) -> Option<usize> {
        self.names.get(&name.to_lowercase()).copied()
    }

    fn source(&self, name: &str) -> Source {
        match self.stage_named(name) {
            Some(stage) => Source::Stage(stage),
            None if name.eq_ignore_ascii_case(SCRATCH) => Source::Scratch,
            None => match self.context_named(name) {
                Some(context) => Source::Context(context),
                None => Source::Image(name.to_owned()),
            },
        }
    }

    /// The context of a name, which may be written as an image is.
    fn context_named(&self, name: &str) -> Option<String> {
        if self.contexts.is_empty() || is_reserved(name) {
            return None;
        }
        if self.contexts.contains(name) {
            return Some(name.to_owned());
        }
        let familiar = Reference::from_str(name).ok()?.familiar();
        let short = familiar.strip_suffix(":latest").unwrap_or(&familiar);
        self.contexts.get(short).cloned()
    }

    fn copied(&self, from: &Word, span: Span, escape: char) -> Result<Use, Error> {
        let written = from.as_str();
        if expand(from, escape, &|_| None).map_err(|error| error.at(span))? != written {
            return Err(Error::new(
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
            )
            .at(span));
        }
        let source = match written.parse::<i64>() {
            Err(_) => self.source(written),
            Ok(number) => match usize::try_from(number) {
                Ok(number) if number < self.nodes.len() => Source::Stage(number),
                _ => {
                    return Err(Error::new(format!("invalid stage index {number}")).at(span));
                }
            },
        };
        Ok(Use {
            source,
            written: written.to_owned(),
            mount: None,
            span,
        })
    }

    fn node(&self, file: &Dockerfile, stage: &Stage, globals: &Globals) -> Result<Node, Error> {
        let lookup = |name: &str| globals.value(name);
        let base = expansion(&stage.base, file.escape(), &lookup)?;
        if base.text.is_empty() {
            let written = stage.base.as_str();
            return Err(Error::new(format!(
                "base name ({written}) should not be blank"
            )));
        }
        let mut used_args = base.found;
        let platform = match &stage.platform {
            None => None,
            Some(word) => {
                let done = expansion(word, file.escape(), &lookup)
                    .map_err(|error| error.context("failed to process arguments for platform "))?;
                used_args.extend(done.found.iter().cloned());
                Some(platform(word, done, globals)?)
            }
        };
        let replacement = stage
            .name
            .as_ref()
            .and_then(|name| self.context_named(name));
        let replaced = replacement.is_some();
        let source = match replacement {
            Some(context) => Source::Context(context),
            None => self.source(&base.text),
        };
        let number = self.nodes.len();
        Ok(Node {
            name: stage.name.clone().unwrap_or(format!("stage-{number}")),
            base: base.text,
            source,
            replaced,
            platform,
            used_args,
            triggers: Vec::new(),
            uses: Vec::new(),
        })
    }

    /// The references of a stage, when all stages are known; how many triggers
    /// it has inherited.
    fn resolve(&mut self, number: usize, stage: &Stage, file: &Dockerfile) -> Result<usize, Error> {
        let node = &self.nodes[number];
        if node.replaced {
            return Ok(0);
        }
        let triggers = match node.source {
            Source::Stage(base) if !self.nodes[base].replaced => {
                triggers(&file.stages[base], stage.span)?
            }
            _ => Vec::new(),
        };
        let mut uses = Vec::new();
        for instruction in triggers.iter().chain(&stage.instructions) {
            uses.extend(self.uses(instruction, file.escape())?);
        }
        let node = &mut self.nodes[number];
        node.triggers = triggers;
        node.uses = uses;
        Ok(node.triggers.len())
    }

    /// A stage that needs its own files, perhaps by way of others.
    fn check_circles(&self) -> Result<(), Error> {
        let mut seen = vec![Seen::No; self.nodes.len()];
        for start in 0..self.nodes.len() {
            if let Some(span) = self.circle(start, &mut seen) {
                let name = &self.nodes[start].name;
                return Err(
                    Error::new(format!("circular dependency detected on stage: {name}")).at(span),
                );
            }
        }
        Ok(())
    }

    /// Walks what `start` needs, without recursion: files are long.
    fn circle(&self, start: usize, seen: &mut [Seen]) -> Option<Span> {
        if seen[start] != Seen::No {
            return None;
        }
        seen[start] = Seen::Above;
        let mut path = vec![(start, 0)];
        while let Some((number, next)) = path.last_mut() {
            let Some(reference) = self.nodes[*number].uses.get(*next) else {
                seen[*number] = Seen::Done;
                path.pop();
                continue;
            };
            *next += 1;
            let Source::Stage(other) = reference.source else {
                continue;
            };
            match seen[other] {
                Seen::Above => return Some(reference.span),
                Seen::Done => {}
                Seen::No => {
                    seen[other] = Seen::Above;
                    path.push((other, 0));
                }
            }
        }
        None
    }

    fn too_early(&self, stage: usize, reference: &Use) -> Error {
        let from = quoted(&reference.written);
        let name = quoted(&self.nodes[stage].name);
        let text = match reference.mount {
            None => format!(
                "cannot copy from stage {from}, it needs to be defined before current stage {name}"
            ),
            Some(_) => format!(
                "cannot mount from stage {from}, stage needs to be defined before current command"
            ),
        };
        Error::new(text).at(reference.span)
    }
}

/// Whether a walk has been at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    /// It is on the path to where the walk is.
    Above,
    Done,
}

fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case(SCRATCH) || name.eq_ignore_ascii_case("context")
}

fn platform(word: &Word, done: Expansion, globals: &Globals) -> Result<String, Error> {
    let written = word.as_str();
    let suggest = |error: Error| match done.missing.first() {
        Some(missing) => error.suggest(missing, globals.names(), Case::Sensitive),
        None => error,
    };
    if done.text.is_empty() {
        return Err(suggest(Error::new(format!(
            "empty platform value from expression {written}"
        ))));
    }
    match Platform::from_str(&done.text) {
        Ok(_) => Ok(done.text),
        Err(error) => Err(suggest(Error::new(format!(
            "failed to parse platform {written}: {error}"
        )))),
    }
}

/// The triggers that a stage keeps, as if they stood at the place of `span`.
fn triggers(stage: &Stage, span: Span) -> Result<Vec<Instruction>, Error> {
    let texts = stage
        .instructions
        .iter()
        .filter_map(|instruction| match &instruction.command {
            Command::Onbuild(text) => Some(text),
            _ => None,
        });
    texts
        .map(|text| {
            let mut trigger = parse_instruction(text).map_err(|error| error.at(span))?;
            trigger.span = span;
            Ok(trigger)
        })
        .collect()
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
