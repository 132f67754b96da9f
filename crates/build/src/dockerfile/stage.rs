//! The stages that a target needs, one after the other.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use gantry_dockerfile::{Command, Dockerfile, Instruction, Span, Stage, Word, parse_instruction};
use gantry_types::{Platform, ProcessConfig};

use super::cache_from::Sources;
use super::config::PATH;
use super::current::{Current, KEPT_CONFIGS};
use super::variables::{Scope, Variables, is_predefined, platform_args};
use super::{
    Base, Dialect, Named, Options, Plan, PlannedStage, StageBase, World, history, placed, run,
};
use crate::graph::{Graph, Local, Node, NodeId, Op};
use crate::{Error, Result};

/// The base of a stage that begins with nothing.
const SCRATCH: &str = "scratch";
/// What the classic builder says of a file that makes nothing.
const NOTHING: &str = "No image was generated. Is your Dockerfile empty?";
/// So deep is planning nested for stages that only a trigger or a variable names.
const DEEPEST: usize = 24;

/// Makes a plan of a file.
pub(super) struct Planner<'p> {
    pub(super) file: &'p Dockerfile,
    pub(super) options: &'p Options,
    pub(super) world: &'p dyn World,
    pub(super) graph: Graph,
    meta: Scope,
    context: Option<NodeId>,
    directory: Option<Arc<Local>>,
    images: BTreeMap<String, (Base, NodeId)>,
    named: BTreeMap<String, NodeId>,
    done: BTreeMap<usize, Ended>,
    stages: Vec<PlannedStage>,
    /// What is left of [`KEPT_CONFIGS`].
    keeps: Rc<Cell<usize>>,
    /// The stages that are being planned, outermost first.
    open: Vec<usize>,
    target: usize,
    pub(super) used_args: BTreeSet<String>,
}

/// How the stage is called that is built in the end; the classic builder does not say it.
fn target_stage<'t>(file: &'t Dockerfile, options: &'t Options) -> Option<&'t str> {
    let last = file.stages.last().and_then(|stage| stage.name.as_deref());
    let target = match options.target.as_str() {
        "" => last.unwrap_or_default(),
        target => target,
    };
    (options.dialect == Dialect::BuildKit).then_some(target)
}

/// A stage that is planned.
#[derive(Clone)]
struct Ended {
    node: Option<NodeId>,
    config: ProcessConfig,
    platform: Platform,
    scope: Scope,
    sources: Sources,
}

impl<'p> Planner<'p> {
    pub(super) fn new(
        file: &'p Dockerfile,
        options: &'p Options,
        context: Option<Arc<Local>>,
        world: &'p dyn World,
    ) -> Result<Self> {
        let mut planner = Self {
            file,
            options,
            world,
            graph: Graph::default(),
            meta: Scope::default(),
            context: None,
            directory: context,
            images: BTreeMap::new(),
            named: BTreeMap::new(),
            done: BTreeMap::new(),
            stages: Vec::new(),
            keeps: Rc::new(Cell::new(match options.dialect {
                Dialect::Classic => KEPT_CONFIGS,
                Dialect::BuildKit => 0,
            })),
            open: Vec::new(),
            target: 0,
            used_args: BTreeSet::new(),
        };
        let target = options.platform.clone().unwrap_or_else(Platform::host);
        for (name, value) in platform_args(&target, target_stage(file, options)) {
            planner.meta.declare(&name, Some(value));
        }
        for arg in &file.meta_args {
            let name = planner.meta.expand(&arg.name, file.escape(), arg.span)?;
            let value = match planner.given(&name) {
                Some(value) => Some(value),
                None => match &arg.default {
                    Some(word) => Some(planner.meta.expand(word, file.escape(), arg.span)?),
                    None => None,
                },
            };
            planner.meta.declare(&name, value);
        }
        Ok(planner)
    }

    /// What the user has given for an argument; one without a value is as it was.
    pub(super) fn given(&mut self, name: &str) -> Option<String> {
        let given = self.options.build_args.get(name)?.clone();
        self.used_args.insert(name.to_owned());
        given
    }

    /// What an argument is before the first stage.
    pub(super) fn meta(&self, name: &str) -> Option<String> {
        self.meta.lookup(name)
    }

    pub(super) fn plan(mut self) -> Result<Plan> {
        if self.file.stages.is_empty() {
            let text = match self.options.dialect {
                Dialect::Classic => NOTHING,
                Dialect::BuildKit => "dockerfile contains no stages to build",
            };
            return Err(Error::Invalid(text.to_owned()));
        }
        let target = self.target()?;
        self.target = target;
        self.stage(target)?;
        let wanted = self.done.get(&target).and_then(|ended| ended.node);
        gantry_types::sort::by_key(&mut self.stages, |stage| stage.index);
        let place = self.stages.iter().position(|stage| stage.index == target);
        let last = place.map(|place| &self.stages[place]);
        let nothing = last
            .is_some_and(|last| last.steps.is_empty() && matches!(last.base, StageBase::Scratch));
        if nothing && self.options.dialect == Dialect::Classic {
            return Err(Error::Invalid(NOTHING.to_owned()));
        }
        let unused = self
            .options
            .build_args
            .keys()
            .filter(|name| !self.used_args.contains(*name) && !is_predefined(name));
        Ok(Plan {
            several: run::is_several(self.file),
            named: Vec::new(),
            unused_args: unused.cloned().collect(),
            meta: self.file.meta_args.iter().map(shown_arg).collect(),
            graph: self.graph,
            stages: self.stages,
            target: place.unwrap_or(0),
            wanted,
        })
    }

    fn target(&self) -> Result<usize> {
        let target = self.options.target.as_str();
        if target.is_empty() {
            return Ok(self.file.stages.len().saturating_sub(1));
        }
        self.find(target, self.file.stages.len()).ok_or_else(|| {
            Error::Invalid(match self.options.dialect {
                Dialect::Classic => format!("target stage \"{target}\" could not be found"),
                Dialect::BuildKit => self.no_target(target),
            })
        })
    }

    fn no_target(&self, target: &str) -> String {
        let names = self
            .file
            .stages
            .iter()
            .filter_map(|stage| stage.name.as_deref());
        let error =
            gantry_dockerfile::Error::new(format!("target stage \"{target}\" could not be found"));
        let case = gantry_dockerfile::Case::Insensitive;
        error.suggest(target, names, case).to_string()
    }

    /// The stage of that name or number, before `end`.
    fn find(&self, name: &str, end: usize) -> Option<usize> {
        let lower = name.to_lowercase();
        let named = |stage: &Stage| stage.name.as_deref() == Some(lower.as_str());
        let stages = &self.file.stages[..end];
        let by_name = stages.iter().rposition(named);
        by_name.or_else(|| name.parse().ok().filter(|index| *index < end))
    }

    /// Plans a stage after all that it needs, which is not done by a recursion: a file may
    /// have thousands of stages that need each other.
    fn stage(&mut self, index: usize) -> Result<Ended> {
        let mut seen = BTreeSet::from([index]);
        let mut open = vec![(index, self.needs(index))];
        loop {
            let Some((last, needs)) = open.last_mut() else {
                return self.alone(index);
            };
            match needs.pop() {
                Some(next) if !self.done.contains_key(&next) && seen.insert(next) => {
                    let needs = self.needs(next);
                    open.push((next, needs));
                }
                Some(_) => {}
                None => {
                    let last = *last;
                    open.pop();
                    self.alone(last)?;
                }
            }
        }
    }

    /// The stages that one stands on and takes files of, as far as its text says it.
    fn needs(&self, index: usize) -> Vec<usize> {
        let stage = &self.file.stages[index];
        let escape = self.file.escape();
        let base = self.meta.expand(&stage.base, escape, stage.span);
        let base = base.ok().and_then(|base| self.find(&base, index));
        let end = self.end_for(index);
        let named = stage.instructions.iter().flat_map(|told| {
            let (copied, mounts) = match &told.command {
                Command::Copy(copy) => (copy.from.as_ref().map(Word::as_str), &[][..]),
                Command::Run(run) => (None, &run.mounts[..]),
                _ => (None, &[][..]),
            };
            copied
                .into_iter()
                .chain(mounts.iter().filter_map(|mount| mount.from()))
        });
        let ours = named.filter(|name| *name != SCRATCH && self.world.named(name).is_none());
        let used = ours.filter_map(|name| self.find(name, end));
        base.into_iter().chain(used).collect()
    }

    /// Before which stage those must stand whose files one takes: the classic builder knows
    /// only what is above.
    fn end_for(&self, index: usize) -> usize {
        match self.options.dialect {
            Dialect::Classic => index,
            Dialect::BuildKit => self.file.stages.len(),
        }
    }

    /// Plans a stage after what it needs.
    fn alone(&mut self, index: usize) -> Result<Ended> {
        if let Some(ended) = self.done.get(&index) {
            return Ok(ended.clone());
        }
        let stage = &self.file.stages[index];
        let name = stage
            .name
            .clone()
            .unwrap_or_else(|| format!("stage-{index}"));
        if self.open.contains(&index) {
            let error = gantry_dockerfile::Error::new(format!(
                "circular dependency detected on stage: {name}"
            ));
            return Err(placed(error, stage.span));
        }
        if self.open.len() >= DEEPEST {
            let error = gantry_dockerfile::Error::new(format!(
                "stages take from each other more than {DEEPEST} deep: {name}"
            ));
            return Err(placed(error, stage.span));
        }
        self.open.push(index);
        let (mut current, base) = self.begin(index, stage, name)?;
        let base_node = current.node;
        self.triggers(&mut current)?;
        for instruction in &stage.instructions {
            self.instruction(&mut current, instruction)?;
        }
        if index == self.target {
            self.labels(&mut current);
            self.look_up(&mut current);
        }
        let ended = Ended {
            node: current.node,
            config: current.configured(),
            platform: current.platform.clone(),
            scope: current.scope,
            sources: current.sources,
        };
        self.open.pop();
        self.done.insert(index, ended.clone());
        self.stages.push(PlannedStage {
            index,
            name: current.name,
            from: stage.original.clone(),
            base_node: base_node.filter(|_| matches!(base, StageBase::Image(_))),
            base,
            steps: current.steps,
            config: ended.config.clone(),
            platform: current.platform,
        });
        Ok(ended)
    }

    /// `FROM`.
    fn begin(&mut self, index: usize, stage: &Stage, name: String) -> Result<(Current, StageBase)> {
        let escape = self.file.escape();
        let word = self.meta.expand(&stage.base, escape, stage.span)?;
        if word.is_empty() {
            let error = gantry_dockerfile::Error::new(format!(
                "base name ({}) should not be blank",
                stage.base.as_str()
            ));
            return Err(placed(error, stage.span));
        }
        let mut platform = self.platform(stage.platform.as_ref(), escape, stage.span)?;
        // What is built for stays the same, whatever a stage itself runs on.
        let target = self.options.platform.clone();
        let target = target.unwrap_or_else(Platform::host);
        let (mut node, mut config) = (None, ProcessConfig::default());
        let classic = self.options.dialect == Dialect::Classic;
        let mut inherited = None;
        let sources;
        let images = &self.options.cache_from;
        let base = match self.find(&word, index) {
            Some(before) => {
                let ended = self.stage(before)?;
                (node, config, platform) = (ended.node, ended.config, ended.platform);
                sources = ended.sources;
                inherited = Some(ended.scope).filter(|_| !classic);
                StageBase::Stage(before)
            }
            None if word == SCRATCH => {
                sources = Sources::of(images, None);
                config.env = Some(vec![format!("PATH={PATH}")]);
                if !classic {
                    "/".clone_into(&mut config.working_dir);
                }
                StageBase::Scratch
            }
            None => {
                let asked = stage.platform.is_some() || self.options.platform.is_some();
                let (base, image) = self.image(&word, asked.then_some(&platform))?;
                node = Some(image);
                config = base.config.config.clone().unwrap_or_default();
                sources = Sources::of(images, Some(&base.config));
                StageBase::Image(Box::new(base))
            }
        };
        // Until the stage ends the scope has them.
        let mut env = Variables::of(&config.env.take().unwrap_or_default());
        if env.value("PATH").is_none() {
            env.set("PATH", PATH);
        }
        let wished = self.options.no_cache_stages.iter();
        let mut wished = wished.map(|stage| stage.to_lowercase());
        let fresh =
            self.options.no_cache || wished.any(|wish| wish == name || wish == index.to_string());
        // What is made anew has its own time, not that of the cache's image.
        let sources = if fresh { Sources::default() } else { sources };
        let current = Current {
            index,
            number: 0,
            node,
            scope: inherited.unwrap_or_else(|| Scope {
                seen: (!classic).then(|| env.clone()),
                args: Vec::new(),
                env,
            }),
            config,
            steps: Vec::new(),
            author: String::new(),
            cmd_given: false,
            platform_args: platform_args(&target, target_stage(self.file, self.options)),
            platform,
            fresh,
            trigger: false,
            sources,
            looked_up: 0,
            from: stage.span,
            keeps: Rc::clone(&self.keeps),
            name,
        };
        Ok((current, base))
    }

    fn platform(&self, word: Option<&Word>, escape: char, span: Span) -> Result<Platform> {
        let Some(word) = word else {
            let wished = self.options.platform.clone();
            return Ok(wished.unwrap_or_else(Platform::host));
        };
        let text = self.meta.expand(word, escape, span)?;
        text.parse().map_err(|error: gantry_types::PlatformError| {
            let error =
                gantry_dockerfile::Error::new(format!("failed to parse platform {text}: {error}"));
            placed(error, span)
        })
    }

    /// An image, and the step that it is.
    fn image(&mut self, name: &str, platform: Option<&Platform>) -> Result<(Base, NodeId)> {
        let mut name = name.to_owned();
        if let Some(Named::Image(other)) = self.world.named(&name) {
            name = other;
        }
        let key = format!(
            "{name} {}",
            platform.map(ToString::to_string).unwrap_or_default()
        );
        if let Some((base, node)) = self.images.get(&key) {
            return Ok((base.clone(), *node));
        }
        let base = self.world.image(&name, platform)?;
        let node = self.graph.add(Node {
            op: Op::Layers(base.diff_ids.clone()),
            label: format!("FROM {name}"),
            place: String::new(),
            fresh: false,
        });
        self.images.insert(key, (base.clone(), node));
        Ok((base, node))
    }

    /// The step that a `--from` means: a stage, a named context, or an image; for a copy,
    /// or for the mount of this place.
    pub(super) fn from(
        &mut self,
        name: &str,
        current: &Current,
        mount: Option<&str>,
        span: Span,
    ) -> Result<NodeId> {
        if let Some(named) = self.world.named(name) {
            return match named {
                Named::Image(image) => Ok(self.image(&image, None)?.1),
                Named::Directory(local) => Ok(self.directory(name, local)),
            };
        }
        if name == SCRATCH {
            return Ok(self.graph.add(empty()));
        }
        if self.options.dialect == Dialect::Classic && name.parse() == Ok(current.index) {
            let text = format!("invalid from flag value {name}: refers to current build stage");
            return Err(Error::Invalid(text));
        }
        match self.find(name, self.end_for(current.index)) {
            Some(index) => {
                let ended = self.stage(index)?;
                if index > current.index {
                    // A stage that needs this one is told of as a circle before.
                    let text = match mount {
                        None => format!(
                            "cannot copy from stage {name:?}, it needs to be defined before \
                             current stage {:?}",
                            current.name
                        ),
                        Some(target) => format!(
                            "cannot mount from stage {name:?} to {target:?}, stage needs to be \
                             defined before current command"
                        ),
                    };
                    return Err(placed(gantry_dockerfile::Error::new(text), span));
                }
                match ended.node {
                    Some(node) => Ok(node),
                    None => Ok(self.graph.add(empty())),
                }
            }
            None if name.parse::<usize>().is_ok() => Err(match self.options.dialect {
                Dialect::Classic => {
                    let text = format!("invalid from flag value {name}: index out of bounds");
                    Error::Invalid(text)
                }
                Dialect::BuildKit => Error::Failed(format!("invalid stage index {name}")),
            }),
            None => match (self.image(name, None), self.options.dialect) {
                (Ok((_, node)), _) => Ok(node),
                (Err(error), Dialect::BuildKit) => Err(error),
                (Err(error), Dialect::Classic) => {
                    let text = format!("invalid from flag value {name}: {error}");
                    Err(Error::Invalid(text))
                }
            },
        }
    }

    fn directory(&mut self, name: &str, local: Arc<Local>) -> NodeId {
        if let Some(node) = self.named.get(name) {
            return *node;
        }
        let node = self.graph.add(local_node(local, name));
        self.named.insert(name.to_owned(), node);
        node
    }

    /// The step of files that were fetched.
    pub(super) fn fetched(&mut self, local: Arc<Local>, url: &str) -> NodeId {
        let shown = gantry_git::redacted(url);
        self.graph.add(local_node(local, &shown))
    }

    /// The step of the build context.
    pub(super) fn context(&mut self) -> Result<NodeId> {
        if let Some(node) = self.context {
            return Ok(node);
        }
        let Some(local) = self.directory.clone() else {
            return Err(Error::Invalid("there is no build context".to_owned()));
        };
        let node = self.graph.add(local_node(local, "context"));
        self.context = Some(node);
        Ok(node)
    }

    /// What the base image does first.
    fn triggers(&mut self, current: &mut Current) -> Result<()> {
        let triggers = current.config.on_build.take().unwrap_or_default();
        current.trigger = true;
        for trigger in triggers {
            let instruction =
                parse_instruction(&trigger).map_err(|error| Error::Invalid(error.to_string()));
            let mut instruction = instruction.map_err(|error| self.at(error, current.from))?;
            instruction.span = current.from;
            self.instruction(current, &instruction)?;
        }
        current.trigger = false;
        Ok(())
    }

    /// The labels of the command line.
    fn labels(&self, current: &mut Current) {
        if self.options.labels.is_empty() {
            return;
        }
        for (name, value) in &self.options.labels {
            let labels = current.config.labels.get_or_insert_default();
            labels.insert(name.clone(), value.clone());
            if self.options.dialect == Dialect::Classic {
                let text = format!("LABEL {name}={value}");
                let shell = super::config::shell(&current.config);
                let created_by = history::of_config(Dialect::Classic, &shell, &text);
                current.push(text, None, created_by, Span::default());
            }
        }
    }

    /// Where the step that comes next is: the same from build to build.
    pub(super) fn place(&self, current: &Current) -> String {
        format!("{} {}", current.name, current.number)
    }

    fn instruction(&mut self, current: &mut Current, instruction: &Instruction) -> Result<()> {
        current.number += 1;
        self.command(current, instruction)
            .map_err(|error| self.at(error, instruction.span))?;
        self.look_up(current);
        Ok(())
    }

    /// Looks for new steps in the images that the cache is to come from.
    fn look_up(&mut self, current: &mut Current) {
        let seen = std::mem::replace(&mut current.looked_up, current.steps.len());
        for step in &mut current.steps[seen..] {
            let Some(found) = current.sources.next(&step.created_by) else {
                return;
            };
            step.created = found.created;
            if let Some(node) = step.node {
                let created = step.created.as_deref().map_or(0, super::image::nanoseconds);
                self.graph.known.insert(node, (found.diff_ids, created));
            }
        }
    }

    /// An error of an instruction, placed where BuildKit says where it is.
    fn at(&self, error: Error, span: Span) -> Error {
        match (self.options.dialect, error) {
            (Dialect::Classic, error) => error,
            (_, error @ (Error::Placed { .. } | Error::Failed(_) | Error::Cancelled)) => error,
            (Dialect::BuildKit, error) => Error::Placed {
                span,
                error: Box::new(error),
            },
        }
    }
}

fn shown_arg(arg: &gantry_dockerfile::Arg) -> String {
    match &arg.default {
        Some(default) => format!("ARG {}={}", arg.name.as_str(), default.as_str()),
        None => format!("ARG {}", arg.name.as_str()),
    }
}

fn empty() -> Node {
    Node {
        op: Op::Layers(Vec::new()),
        label: SCRATCH.to_owned(),
        place: String::new(),
        fresh: false,
    }
}

fn local_node(local: Arc<Local>, name: &str) -> Node {
    Node {
        op: Op::Local(local),
        label: format!("[internal] load build {name}"),
        place: String::new(),
        fresh: false,
    }
}
