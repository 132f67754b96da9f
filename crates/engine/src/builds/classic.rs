//! `POST /build` as the classic builder of Docker answers it: the steps in the order of
//! the file, whatever the order in which they are done.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantry_api::{ProgressError, ProgressMessage, rfc3339_nano};
use gantry_build::cache::{Cache, Entry};
use gantry_build::dockerfile::{self, Options, Plan, StageBase};
use gantry_build::solve::Layers;
use gantry_build::{Error as BuildError, Event, NodeId, RunOutput, Value};
use gantry_image::Epoch;
use gantry_registry::Cancel;
use gantry_types::{Digest, ImageId};

use super::explain;
use super::request::{ClassicContext, ClassicQuery};
use super::solve::{BuildEvent, Solved};
use super::{Builds, Inner};
use crate::error::{Error, Result};

impl Builds {
    /// Builds as `docker build` of old does.
    ///
    /// # Errors
    /// What is wrong before the first step is told; later failures are messages.
    pub fn classic(
        &self,
        query: &ClassicQuery,
        context: ClassicContext<impl BufRead + Send>,
        cancel: &Cancel,
        progress: &(dyn Fn(ProgressMessage) -> bool + Sync),
    ) -> Result<()> {
        let inner = &self.inner;
        let _enlisted = inner.enlist(&query.build_id, cancel);
        let received = self.receive(query, context, cancel)?;
        let request = &received.request;
        let printer = Printer {
            quiet: query.quiet,
            options: &request.options,
            cache: &inner.cache,
            since: inner.cache.begin()?,
            progress,
            told: Mutex::default(),
        };
        let solved = inner.solve(request, cancel, &|event| printer.hear(event));
        let mut solved = match solved {
            Ok(solved) => solved,
            Err(error) => return printer.fail(error),
        };
        printer.finish(&mut solved);
        if query.squash {
            inner.squash(&mut solved)?;
        }
        let id = inner.commit(&solved, &query.tags)?;
        printer.built(inner, query, &solved.plan, id);
        Ok(())
    }
}

/// Tells the client what happens, in the order of the file.
struct Printer<'p> {
    quiet: bool,
    options: &'p Options,
    cache: &'p Cache,
    since: Epoch,
    progress: &'p (dyn Fn(ProgressMessage) -> bool + Sync),
    told: Mutex<Told>,
}

/// What was told, and what waits.
#[derive(Default)]
struct Told {
    lines: Vec<Line>,
    /// The next line to be told.
    at: usize,
    begun: bool,
    waiting: BTreeMap<NodeId, Vec<ProgressMessage>>,
    done: BTreeMap<NodeId, Layers>,
    plan: Option<Plan>,
}

/// One step as it is shown.
struct Line {
    header: String,
    /// The stage, and how many of its steps are done then.
    image: Option<(usize, usize)>,
    node: Option<NodeId>,
}

impl Printer<'_> {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: impl Into<String>) {
        if !self.quiet {
            (self.progress)(ProgressMessage::stream(text));
        }
    }

    fn hear(&self, event: BuildEvent<'_>) {
        match event {
            BuildEvent::Pulling(_, message) => {
                if !self.quiet {
                    (self.progress)(message);
                }
            }
            BuildEvent::Planned(plan) => {
                let mut told = self.told();
                told.lines = lines(plan);
                told.plan = Some(plan.outline());
                self.pump(&mut told);
            }
            BuildEvent::Step(node, event) => {
                let mut told = self.told();
                let message = match event {
                    Event::Done(layers) => {
                        told.done.insert(node, layers.clone());
                        None
                    }
                    Event::Output(output) => said(&output),
                    Event::Missed(before, now) => Some(ProgressMessage::stream(format!(
                        " ---> Not in the cache: {}\n",
                        explain::reason(before.as_ref(), now)
                    ))),
                    Event::Started => None,
                };
                told.waiting.entry(node).or_default().extend(message);
                self.pump(&mut told);
            }
        }
    }

    /// Tells what can be told.
    fn pump(&self, told: &mut Told) {
        while let Some(line) = told.lines.get(told.at) {
            if !told.begun {
                if !line.header.is_empty() {
                    self.say(format!("{}\n", line.header));
                }
                told.begun = true;
            }
            let (node, image) = (line.node, line.image);
            if let Some(node) = node {
                for message in told.waiting.remove(&node).unwrap_or_default() {
                    if !self.quiet {
                        (self.progress)(message);
                    }
                }
                let Some(layers) = told.done.get(&node) else {
                    return;
                };
                if layers.cached {
                    self.say(" ---> Using cache\n");
                }
            } else if let Some(image) = image
                && self.was_done(told, image)
            {
                self.say(" ---> Using cache\n");
            }
            if let Some(id) = image.and_then(|image| self.image(told, image)) {
                self.say(format!(
                    " ---> {}\n",
                    id.chars().take(12).collect::<String>()
                ));
            }
            told.at += 1;
            told.begun = false;
        }
    }

    /// Whether a step that only changes the configuration was done before on the same image,
    /// as Docker asks; its time is kept then, and is now otherwise.
    fn was_done(&self, told: &mut Told, (stage, steps): (usize, usize)) -> bool {
        let Some(before) = steps.checked_sub(1) else {
            return false;
        };
        let Some(parent) = self.image(told, (stage, before)) else {
            return false;
        };
        let stages = told.plan.as_mut().map(|plan| &mut plan.stages);
        let stage = stages.and_then(|stages| stages.get_mut(stage));
        let Some(step) = stage.and_then(|stage| stage.steps.get_mut(before)) else {
            return false;
        };
        if step.created.is_some() {
            return true;
        }
        let words = [parent.as_str(), &step.author, &step.created_by].join("\n");
        let entry = Entry {
            kind: "regular".to_owned(),
            description: step.text.clone(),
            ..Entry::default()
        };
        let key = Digest::of(words.as_bytes()).to_string();
        let found = self
            .cache
            .moment(&key, entry, self.options.no_cache, self.since);
        match found {
            Ok((created, known)) => {
                step.created = Some(rfc3339_nano(created));
                known
            }
            // It has the time of what is below it.
            Err(error) => {
                tracing::warn!(%error, "a step of a build is not remembered");
                false
            }
        }
    }

    /// The id of an image after so many steps of a stage, without its algorithm.
    fn image(&self, told: &Told, (stage, steps): (usize, usize)) -> Option<String> {
        let plan = told.plan.as_ref()?;
        match &plan.stages.get(stage)?.base {
            StageBase::Image(base) if steps == 0 => {
                return Some(base.id.0.hex());
            }
            StageBase::Scratch if steps == 0 => return Some(String::new()),
            _ => {}
        }
        let values = told
            .done
            .iter()
            .map(|(node, layers)| (*node, Value::Layers(layers.clone())))
            .into_map();
        let config = dockerfile::image_at(plan, self.options, &values, stage, steps)?;
        let bytes = serde_json::to_vec(&config).ok()?;
        Some(Digest::of(&bytes).hex())
    }

    /// Tells of steps that nobody had to look at; the image says when all steps were done.
    fn finish(&self, solved: &mut Solved) {
        let mut told = self.told();
        for (node, value) in &solved.values {
            if let Value::Layers(layers) = value {
                told.done.entry(*node).or_insert_with(|| layers.clone());
            }
        }
        // What was in the cache only as a part of something later.
        for node in 0..solved.plan.graph.nodes.len() {
            told.done.entry(node).or_insert_with(|| Layers {
                cached: true,
                ..Layers::default()
            });
        }
        self.pump(&mut told);
        if let Some(told) = told.plan.take() {
            solved.plan.stages = told.stages;
            solved.config = dockerfile::image(&solved.plan, self.options, &solved.values);
        }
    }

    /// A failure: before the first line it is the answer, later a message.
    fn fail(&self, error: Error) -> Result<()> {
        let told = self.told();
        if told.at == 0 && !told.begun {
            return Err(error);
        }
        let code = match &error {
            Error::Build(BuildError::Exit { code, .. }) => i64::from(*code),
            _ => 0,
        };
        let message = error.to_string();
        (self.progress)(ProgressMessage {
            error: message.clone(),
            error_detail: Some(ProgressError { code, message }),
            ..ProgressMessage::default()
        });
        Ok(())
    }

    fn built(&self, inner: &Inner, query: &ClassicQuery, plan: &Plan, id: ImageId) {
        (self.progress)(ProgressMessage {
            aux: serde_json::to_value(gantry_types::sort::map([("ID", id.to_string())])).ok(),
            ..ProgressMessage::default()
        });
        if self.quiet {
            (self.progress)(ProgressMessage::stream(format!("{id}\n")));
            return;
        }
        if !plan.unused_args.is_empty() {
            self.say(format!(
                "[Warning] One or more build-args [{}] were not consumed\n",
                plan.unused_args.join(" ")
            ));
        }
        let short: String = id.0.hex().chars().take(12).collect();
        self.say(format!("Successfully built {short}\n"));
        for tag in &query.tags {
            self.say(format!("Successfully tagged {}\n", tag.familiar()));
        }
        tracing::debug!(%id, directory = %inner.directory.display(), "built");
    }
}

/// What a running command says, as a message.
fn said(output: &RunOutput<'_>) -> Option<ProgressMessage> {
    let short = |id: &str| id.chars().take(12).collect::<String>();
    let text = match output {
        RunOutput::Stdout(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        // As Docker's: errors are red.
        RunOutput::Stderr(bytes) => {
            format!("\u{1b}[91m{}\u{1b}[0m", String::from_utf8_lossy(bytes))
        }
        RunOutput::Container(id) => format!(" ---> Running in {}\n", short(id)),
        RunOutput::Removed(id) => {
            format!(" ---> Removed intermediate container {}\n", short(id))
        }
    };
    Some(ProgressMessage::stream(text))
}

/// All lines of a plan.
fn lines(plan: &Plan) -> Vec<Line> {
    let shown = |stage: &dockerfile::PlannedStage| {
        1 + stage.steps.iter().filter(|step| !step.trigger).count()
    };
    let total = plan.meta.len() + plan.stages.iter().map(shown).sum::<usize>();
    let mut number = 0;
    let mut header = |text: &str| {
        number += 1;
        format!("Step {number}/{total} : {text}")
    };
    let mut lines = Vec::new();
    for meta in &plan.meta {
        lines.push(Line {
            header: header(meta),
            image: None,
            node: None,
        });
    }
    for (place, stage) in plan.stages.iter().enumerate() {
        let triggers = stage.steps.iter().filter(|step| step.trigger).count();
        let mut text = header(&stage.from);
        if triggers != 0 {
            let word = if triggers == 1 { "trigger" } else { "triggers" };
            text.push_str(&format!("\n# Executing {triggers} build {word}"));
        }
        lines.push(Line {
            header: text,
            image: (triggers == 0).then_some((place, 0)),
            node: None,
        });
        for (index, step) in stage.steps.iter().enumerate() {
            let line = match step.trigger {
                true => String::new(),
                false => header(&step.text),
            };
            lines.push(Line {
                header: line,
                image: Some((place, index + 1)),
                node: step.node,
            });
        }
    }
    lines
}
