//! From a Dockerfile to a graph of steps, and from its results to an image's
//! configuration.
//!
//! ```text
//!  plan:   stages that the target needs ─► each instruction ─► Graph + Step (history)
//!  image:  base's configuration + Steps + results ─► ImageConfig
//! ```
//!
//! Only stages that the target needs are looked at, so that others may name images that
//! are not there. Nothing is run here.

mod cache_from;
mod commands;
mod config;
mod copy;
mod current;
mod history;
mod image;
mod run;
mod stage;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_dockerfile::{Dockerfile, Span};
use gantry_types::{DiffId, ImageConfig, ImageId, Platform, ProcessConfig};

use crate::graph::{Graph, Local, NodeId};
use crate::{Error, Result};

pub use copy::FETCHED;
pub(crate) use image::rfc3339;
pub use image::{image, image_at};
use stage::Planner;

/// Whose words a build uses, where the two builders of Docker differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// The classic builder's.
    Classic,
    /// BuildKit's.
    #[default]
    BuildKit,
}

/// What a build is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whose words.
    pub dialect: Dialect,
    /// Values of arguments; one without a value has its default.
    pub build_args: BTreeMap<String, Option<String>>,
    /// The stage; the last one when empty.
    pub target: String,
    /// More labels.
    pub labels: BTreeMap<String, String>,
    /// Whether everything is run.
    pub no_cache: bool,
    /// The stages of which everything is run.
    pub no_cache_stages: Vec<String>,
    /// For what the image is; this machine when not given.
    pub platform: Option<Platform>,
    /// The network of all commands.
    pub network: String,
    /// What the file may ask for: `network.host`, `security.insecure`.
    pub allow: Vec<String>,
    /// Addresses of hosts that all commands know: `name:address`.
    pub hosts: Vec<String>,
    /// Limits of the processes of all commands: name, soft and hard.
    pub ulimits: Vec<(String, i64, i64)>,
    /// Bytes of shared memory of all commands; 0 for the daemon's choice.
    pub shm_size: i64,
    /// The parent of all cgroups; empty for the daemon's choice.
    pub cgroup_parent: String,
    /// How commands see this machine called; empty for what containers see.
    pub hostname: String,
    /// Kept as `docker_version`, as the classic builder does.
    pub engine_version: Option<String>,
    /// Images that have what steps make, as far as their histories say so.
    pub cache_from: Vec<ImageConfig>,
    /// Seconds since 1970 that everything is said to be made at.
    pub epoch: Option<i64>,
    /// Whether no file of a new layer may have a later time than `epoch`.
    pub clamp: bool,
}

/// An image that a stage begins with, or takes files from.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its id.
    pub id: ImageId,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers.
    pub diff_ids: Vec<DiffId>,
}

/// What a Dockerfile may name.
pub trait World {
    /// An image, looked for in a registry if need be; its layers may be there still.
    ///
    /// # Errors
    /// When there is none.
    fn image(&self, name: &str, platform: Option<&Platform>) -> Result<Base>;

    /// A file from the network, alone in a directory; `checksum` is what it must have.
    ///
    /// # Errors
    /// When it cannot be got, or is another one.
    fn fetch(&self, url: &str, checksum: Option<&str>) -> Result<Arc<Local>>;

    /// A commit of a git repository, checked out.
    ///
    /// # Errors
    /// When it cannot be got, or is another one.
    fn check_out(&self, source: &gantry_git::Source) -> Result<Arc<Local>>;

    /// A named context: a directory, or the name of an image.
    fn named(&self, name: &str) -> Option<Named>;
}

/// What a named context is.
#[derive(Debug, Clone)]
pub enum Named {
    /// A directory.
    Directory(Arc<Local>),
    /// An image.
    Image(String),
}

/// A Dockerfile as a graph.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps to be solved.
    pub graph: Graph,
    /// What the stages that are needed do, in the order of the file.
    pub stages: Vec<PlannedStage>,
    /// Which of them is wanted.
    pub target: usize,
    /// What is to be solved.
    pub wanted: Option<NodeId>,
    /// Steps of no Dockerfile, and how they are shown.
    pub named: Vec<(NodeId, String)>,
    /// What is said before the first stage.
    pub meta: Vec<String>,
    /// Whether the file is more than one stage alone: then steps are shown with the
    /// names of theirs.
    pub several: bool,
    /// Arguments that were given and that no stage knows.
    pub unused_args: Vec<String>,
}

impl Plan {
    /// The same without its graph: enough to name images.
    pub fn outline(&self) -> Self {
        Self {
            graph: Graph::default(),
            stages: self.stages.clone(),
            named: self.named.clone(),
            meta: self.meta.clone(),
            unused_args: self.unused_args.clone(),
            ..*self
        }
    }
}

/// A stage that is needed.
#[derive(Debug, Clone)]
pub struct PlannedStage {
    /// Its number in the file.
    pub index: usize,
    /// Its name, or `stage-N`.
    pub name: String,
    /// The line of its `FROM`.
    pub from: String,
    /// What it begins with.
    pub base: StageBase,
    /// The step that its base image is.
    pub base_node: Option<NodeId>,
    /// What it does.
    pub steps: Vec<Step>,
    /// The configuration that it ends with.
    pub config: ProcessConfig,
    /// For what it is.
    pub platform: Platform,
}

/// What a stage begins with.
#[derive(Debug, Clone)]
pub enum StageBase {
    /// Nothing.
    Scratch,
    /// An image.
    Image(Box<Base>),
    /// A stage before it, by its place in [`Plan::stages`]'s file order.
    Stage(usize),
}

/// One instruction of a stage that is needed.
#[derive(Debug, Clone)]
pub struct Step {
    /// The instruction, as the user is shown it.
    pub text: String,
    /// The step of the graph that makes its layer; none for what only changes the
    /// configuration.
    pub node: Option<NodeId>,
    /// For the history.
    pub created_by: String,
    /// Whether the classic builder hides it (a trigger of the base image).
    pub trigger: bool,
    /// The author by then.
    pub author: String,
    /// The configuration by then, where an image may be asked for: only the classic
    /// builder names one after each step, and not after thousands.
    pub config: Option<Arc<ProcessConfig>>,
    /// Where it stands.
    pub span: Span,
    /// When it was done, if an image of the cache says so.
    pub created: Option<String>,
}

/// Makes a graph of a Dockerfile. `context` is what it copies from.
///
/// # Errors
/// Everything that is wrong with the file, with its place, as far as that can be known
/// before anything is run; those of `world`.
pub fn plan(
    file: &Dockerfile,
    options: &Options,
    context: Option<Arc<Local>>,
    world: &dyn World,
) -> Result<Plan> {
    Planner::new(file, options, context, world)?.plan()
}

/// An error of the language, placed.
fn placed(error: gantry_dockerfile::Error, span: Span) -> Error {
    Error::Invalid(error.at(span).to_string())
}
