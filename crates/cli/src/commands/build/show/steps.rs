//! What is known of the steps of a build.

use std::collections::{HashMap, VecDeque};

use super::super::events::{Events, Task, Time, Vertex, Warning};

/// How many lines of a step's output are kept for the case that it fails.
const KEPT: usize = 200;
/// How many of those are shown.
const SHOWN: usize = 60;

/// All steps, in the order in which they were told of.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) all: Vec<Step>,
    places: HashMap<String, usize>,
    pub(super) warnings: Vec<Warning>,
}

/// A step.
#[derive(Default)]
pub(super) struct Step {
    pub(super) vertex: Vertex,
    pub(super) tasks: Vec<Task>,
    /// The last lines of its output, with their times; the last may be unfinished.
    pub(super) output: VecDeque<(Time, String)>,
    unfinished: bool,
}

impl Step {
    pub(super) fn running(&self) -> bool {
        self.vertex.started.is_some() && self.vertex.completed.is_none()
    }

    /// How long it has run.
    pub(super) fn took(&self, now: Time) -> f64 {
        seconds(self.vertex.started, self.vertex.completed.unwrap_or(now))
    }

    fn say(&mut self, at: Time, bytes: &[u8]) {
        for part in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            let text = part.trim_end_matches(['\n', '\r']);
            match self.output.back_mut() {
                Some(last) if self.unfinished => last.1.push_str(text),
                _ => self.output.push_back((at, text.to_owned())),
            }
            self.unfinished = !part.ends_with('\n');
        }
        while self.output.len() > KEPT {
            self.output.pop_front();
        }
    }
}

/// Seconds from one time to another.
pub(super) fn seconds(from: Option<Time>, to: Time) -> f64 {
    let nanoseconds = from.map_or(0, |from| (to - from).max(0));
    nanoseconds as f64 / 1e9
}

impl Steps {
    /// Notes what has happened; the steps that it has happened to.
    pub(super) fn take(&mut self, events: &Events) -> Vec<usize> {
        let mut touched = Vec::new();
        for vertex in &events.vertexes {
            let place = self.place(&vertex.digest);
            self.all[place].vertex = vertex.clone();
            touched.push(place);
        }
        for task in &events.tasks {
            let place = self.place(&task.vertex);
            let tasks = &mut self.all[place].tasks;
            match tasks.iter_mut().find(|known| known.id == task.id) {
                Some(known) => *known = task.clone(),
                None => tasks.push(task.clone()),
            }
            touched.push(place);
        }
        for log in &events.logs {
            let place = self.place(&log.vertex);
            self.all[place].say(log.at.unwrap_or(0), &log.data);
            touched.push(place);
        }
        self.warnings.extend(events.warnings.iter().cloned());
        touched
    }

    fn place(&mut self, digest: &str) -> usize {
        if let Some(place) = self.places.get(digest) {
            return *place;
        }
        self.places.insert(digest.to_owned(), self.all.len());
        self.all.push(Step::default());
        self.all.len() - 1
    }

    /// What the steps that have failed have said last.
    pub(super) fn failures(&self) -> String {
        let mut text = String::new();
        for step in &self.all {
            let error = step.vertex.error.as_str();
            if error.is_empty() || error == "context canceled" {
                continue;
            }
            text.push_str(&format!("------\n > {}:\n", step.vertex.name));
            let from = step.output.len().saturating_sub(SHOWN);
            for (at, line) in step.output.iter().skip(from) {
                let after = seconds(step.vertex.started, *at);
                text.push_str(&format!("{} {line}\n", figures(after)));
            }
            text.push_str("------\n");
        }
        text
    }
}

/// `0.123`, `12.34`: five characters, as BuildKit has it.
pub(super) fn figures(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.3}"),
        ..100.0 => format!("{seconds:.2}"),
        _ => format!("{seconds:.1}"),
    }
}
