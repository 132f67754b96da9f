//! What the engine tells of a build, as clients are shown it: each step of the graph is
//! a vertex, named by its stage and its place there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gantry_api::ProgressMessage;
use gantry_build::dockerfile::{Plan, Step};
use gantry_build::{Error as BuildError, Event as StepEvent, Op, RunOutput};
use gantry_dockerfile::Span;
use gantry_engine::BuildEvent;
use gantry_types::{Digest, Reference};

use crate::builds::Build;
use crate::progress::{Progress, Task, Vertex};

/// What is told of one build.
pub(super) struct Story {
    progress: Progress,
    build: String,
    /// What is built for, and a space, where several are.
    platform: String,
    /// The steps that loaded directories, by their names.
    loaded: BTreeMap<String, String>,
    /// Whether it is told how large layers have become, which BuildKit does not.
    sizes: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The vertices of steps that are shown.
    vertices: BTreeMap<usize, Vertex>,
    spans: BTreeMap<usize, Span>,
    /// The step that is wanted, if it is an image.
    whole: Option<usize>,
    /// Layers that come, by the step that needs them.
    layers: BTreeMap<(usize, String), Task>,
}

impl State {
    /// The layers that came for a step, which have come now.
    fn take_layers(&mut self, node: usize) -> Vec<Task> {
        let now = SystemTime::now();
        let of_it = |layer: &(usize, String)| layer.0 == node;
        let (come, others): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.layers)
            .into_iter()
            .partition(|(layer, _)| of_it(layer));
        self.layers = others;
        let come = come.into_values();
        come.map(|layer| Task {
            completed: Some(now),
            ..layer
        })
        .collect()
    }
}

impl Story {
    /// The story of a build; `platform` is named where there are several.
    pub(super) fn new(
        build: &Build,
        platform: Option<String>,
        loaded: BTreeMap<String, String>,
    ) -> Self {
        let platform = platform.map_or_else(String::new, |platform| format!("{platform} "));
        Self {
            progress: build.progress.clone(),
            build: format!("{}{platform}", build.id),
            platform,
            loaded,
            sizes: false,
            state: Mutex::default(),
        }
    }

    /// The same, with the sizes of layers.
    pub(super) fn with_sizes(mut self) -> Self {
        self.sizes = true;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what happened.
    pub(super) fn tell(&self, event: BuildEvent<'_>) {
        match event {
            BuildEvent::Planned(plan) => self.planned(plan),
            BuildEvent::Pulling(Some(node), message) => self.pulling(node, message),
            BuildEvent::Pulling(None, _) => {}
            BuildEvent::Step(node, event) => self.step(node, &event),
        }
    }

    fn planned(&self, plan: &Plan) {
        let mut state = self.state();
        self.bases(plan);
        let names = names(plan, &self.platform);
        let digests: Vec<String> = (0..plan.graph.nodes.len())
            .map(|node| self.digest(plan, node))
            .collect();
        for (node, (name, span)) in names {
            let inputs = plan.graph.nodes[node].op.inputs();
            let vertex = Vertex {
                digest: digests[node].clone(),
                name,
                inputs: inputs.iter().map(|input| digests[*input].clone()).collect(),
                ..Vertex::default()
            };
            self.progress.vertex(&vertex);
            if plan.wanted == Some(node) && matches!(plan.graph.nodes[node].op, Op::Layers(_)) {
                state.whole = Some(node);
            }
            state.vertices.insert(node, vertex);
            state.spans.extend(span.map(|span| (node, span)));
        }
    }

    /// Tells of the images that stages begin with.
    fn bases(&self, plan: &Plan) {
        let images = plan.graph.nodes.iter().filter_map(|node| match node.op {
            Op::Layers(_) => node.label.strip_prefix("FROM "),
            _ => None,
        });
        let images: BTreeSet<String> = images.map(full).collect();
        for image in images {
            let name = format!("[internal] load metadata for {image}");
            let vertex = Vertex::of(&self.build, &name.clone(), name);
            self.progress.vertex(&done(vertex, false));
        }
    }

    /// What tells a step from others; that of a directory is the step that loaded it.
    fn digest(&self, plan: &Plan, node: usize) -> String {
        let step = &plan.graph.nodes[node];
        if let Op::Local(_) = step.op
            && let Some(digest) = self.loaded.get(&step.label)
        {
            return digest.clone();
        }
        let text = format!("{}\0{node}\0{}", self.build, step.label);
        Digest::of(text.as_bytes()).to_string()
    }

    fn step(&self, node: usize, event: &StepEvent<'_>) {
        let mut state = self.state();
        let whole = state.whole == Some(node);
        let come = match event {
            StepEvent::Done(_) => state.take_layers(node),
            _ => Vec::new(),
        };
        let Some(vertex) = state.vertices.get_mut(&node) else {
            return;
        };
        match event {
            StepEvent::Missed(before, parts) => {
                vertex.started.get_or_insert_with(SystemTime::now);
                self.progress.vertex(vertex);
                let why = gantry_engine::reason(before.as_ref(), parts);
                let text = format!("not in the cache: {why}\n");
                self.progress.log(&vertex.digest, 2, text.as_bytes());
            }
            StepEvent::Started => {
                vertex.started = Some(SystemTime::now());
                self.progress.vertex(vertex);
            }
            StepEvent::Output(output) => {
                let digest = vertex.digest.clone();
                drop(state);
                match output {
                    RunOutput::Stdout(bytes) => self.progress.log(&digest, 1, bytes),
                    RunOutput::Stderr(bytes) => self.progress.log(&digest, 2, bytes),
                    _ => {}
                }
            }
            StepEvent::Done(layers) => {
                let now = SystemTime::now();
                // An image that is here already.
                let at_hand = whole && vertex.started.is_none();
                vertex.started.get_or_insert(now);
                for layer in come {
                    self.progress.task(&vertex.digest, &layer);
                }
                if self.sizes && !layers.cached && layers.size != 0 {
                    let layer = Task {
                        name: "layer of".to_owned(),
                        current: i64::try_from(layers.size).unwrap_or(i64::MAX),
                        completed: Some(now),
                        ..Task::default()
                    };
                    self.progress.task(&vertex.digest, &layer);
                }
                vertex.completed = Some(now);
                vertex.cached = layers.cached || at_hand;
                self.progress.vertex(vertex);
            }
        }
    }

    fn pulling(&self, node: usize, message: ProgressMessage) {
        let mut state = self.state();
        let vertex = state.vertices.get(&node);
        let Some(digest) = vertex.map(|vertex| vertex.digest.clone()) else {
            return;
        };
        let (id, what) = (message.id, message.status);
        if id.is_empty() || what.is_empty() {
            return;
        }
        let name = format!("{id} {}", what.to_lowercase());
        let detail = message.progress_detail.unwrap_or_default();
        let now = SystemTime::now();
        let layer = state.layers.entry((node, id)).or_default();
        if layer.name != name {
            if !layer.name.is_empty() {
                layer.completed = Some(now);
                self.progress.task(&digest, layer);
            }
            *layer = Task {
                name,
                started: Some(now),
                ..Task::default()
            };
        }
        layer.current = detail.current;
        layer.total = detail.total;
        self.progress.task(&digest, layer);
    }

    /// The build has failed: tells which step it was; the lines of that.
    pub(super) fn failed(&self, plan_error: Option<&BuildError>, text: &str) -> Option<Span> {
        let mut state = self.state();
        let running = state
            .vertices
            .iter()
            .filter(|(_, vertex)| vertex.started.is_some() && vertex.completed.is_none());
        let running: Vec<usize> = running.map(|(node, _)| *node).collect();
        let shown = |node: &&usize| match plan_error {
            Some(BuildError::Exit { command, .. }) => state.vertices[*node]
                .name
                .ends_with(command.rsplit(" -c ").next().unwrap_or_default()),
            _ => false,
        };
        let culprit = running.iter().find(shown).or(running.first()).copied();
        for node in running {
            if let Some(vertex) = state.vertices.get_mut(&node) {
                vertex.completed = Some(SystemTime::now());
                vertex.error = match Some(node) == culprit {
                    true => text.to_owned(),
                    false => "context canceled".to_owned(),
                };
                self.progress.vertex(vertex);
            }
        }
        culprit.and_then(|node| state.spans.get(&node).copied())
    }
}

/// A step that takes no time.
fn done(mut vertex: Vertex, cached: bool) -> Vertex {
    let now = SystemTime::now();
    (vertex.started, vertex.completed) = (Some(now), Some(now));
    vertex.cached = cached;
    vertex
}

/// The full name of an image.
fn full(name: &str) -> String {
    let reference = name.parse::<Reference>();
    reference.map_or_else(|_| name.to_owned(), |it| it.or_latest().to_string())
}

/// The steps that are shown: their names, and where they stand.
fn names(plan: &Plan, platform: &str) -> BTreeMap<usize, (String, Option<Span>)> {
    let mut names = BTreeMap::new();
    for (node, name) in &plan.named {
        names.insert(*node, (name.clone(), None));
    }
    for stage in &plan.stages {
        let base = stage.base_node;
        // As BuildKit counts: triggers that make no files, too, and the top as a directory.
        let counts =
            |step: &&Step| step.node.is_some() || step.trigger || step.text.starts_with("WORKDIR ");
        let total = stage.steps.iter().filter(counts).count() + usize::from(base.is_some());
        let width = total.to_string().len();
        let prefix = match plan.several {
            true => format!("{platform}{} ", stage.name),
            false => platform.to_owned(),
        };
        let mut index = 0;
        let mut name = |text: &str| {
            index += 1;
            format!("[{prefix}{index:width$}/{total}] {text}")
        };
        if let Some(node) = base {
            let image = plan.graph.nodes[node].label.trim_start_matches("FROM ");
            let text = name(&format!("FROM {}", full(image)));
            names.entry(node).or_insert((text, None));
        }
        for step in &stage.steps {
            if let Some(node) = step.node {
                let text = name(&step.text);
                names.entry(node).or_insert((text, Some(step.span)));
            }
        }
    }
    names
}
