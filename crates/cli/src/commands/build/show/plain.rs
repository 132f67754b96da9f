//! Progress as lines: each step has a number, in the order in which something happens.

use std::collections::{HashMap, HashSet};

use super::super::events::{Events, Log, Task, Time};
use super::steps::{Steps, figures, seconds};
use crate::output::human;

/// How long a line may become before it is shown without its end, in bytes.
const LONGEST: usize = 64 << 10;

/// What was shown.
pub(super) struct Plain {
    heading: Option<String>,
    numbers: HashMap<usize, usize>,
    /// The step that was shown last.
    last: Option<usize>,
    ended: HashSet<usize>,
    /// How far tasks were when they were shown.
    tasks: HashMap<(usize, String), bool>,
    /// Lines of which only the beginning has come, with its time.
    begun: HashMap<usize, (Time, Vec<u8>)>,
}

impl Plain {
    pub(super) fn new(name: &str) -> Self {
        Self {
            heading: Some(format!("#0 building with {name:?} instance\n\n")),
            numbers: HashMap::new(),
            last: None,
            ended: HashSet::new(),
            tasks: HashMap::new(),
            begun: HashMap::new(),
        }
    }

    /// The lines that tell of what has happened.
    pub(super) fn lines(&mut self, steps: &mut Steps, events: &Events) -> String {
        let mut text = self.heading.take().unwrap_or_default();
        let touched: Vec<usize> = steps.take(events);
        let mut seen = HashSet::new();
        for place in touched {
            let step = &steps.all[place];
            let digest = &step.vertex.digest;
            if step.vertex.started.is_none() || !seen.insert(place) {
                continue;
            }
            let mut lines = Vec::new();
            for task in events.tasks.iter().filter(|task| task.vertex == *digest) {
                let key = (place, task.id.clone());
                let done = task.completed.is_some();
                if self.tasks.get(&key) != Some(&done) && (done || task.total == 0) {
                    self.tasks.insert(key, done);
                    lines.push(told(task));
                }
            }
            let said = |(at, line): (Time, Vec<u8>)| {
                let after = figures(seconds(step.vertex.started, at));
                let line = String::from_utf8_lossy(&line);
                format!("{after} {}", line.trim_end_matches(['\n', '\r']))
            };
            for log in events.logs.iter().filter(|log| log.vertex == *digest) {
                lines.extend(self.ended_by(place, log).into_iter().map(said));
            }
            if step.vertex.completed.is_some() && self.ended.insert(place) {
                lines.extend(self.begun.remove(&place).map(said));
                lines.push(match step.vertex.error.as_str() {
                    "" if step.vertex.cached => "CACHED".to_owned(),
                    "" => format!("DONE {:.1}s", step.took(0)),
                    "context canceled" => "CANCELED".to_owned(),
                    error => format!("ERROR: {error}"),
                });
            }
            self.add(&mut text, place, &step.vertex.name, &lines);
        }
        text
    }

    /// The lines of a step that are whole now: a program may write a line in pieces.
    fn ended_by(&mut self, place: usize, log: &Log) -> Vec<(Time, Vec<u8>)> {
        let mut whole = Vec::new();
        for part in log.data.split_inclusive(|byte| *byte == b'\n') {
            let at = log.at.unwrap_or(0);
            let (_, line) = self.begun.entry(place).or_insert((at, Vec::new()));
            line.extend_from_slice(part);
            if line.ends_with(b"\n") || line.len() > LONGEST {
                whole.extend(self.begun.remove(&place));
            }
        }
        whole
    }

    /// Adds lines of a step; its name comes before its first, and whenever another step
    /// has been shown meanwhile.
    fn add(&mut self, text: &mut String, place: usize, name: &str, lines: &[String]) {
        let next = self.numbers.len() + 1;
        let fresh = !self.numbers.contains_key(&place);
        let number = *self.numbers.entry(place).or_insert(next);
        if lines.is_empty() && !fresh {
            return;
        }
        if self.last != Some(place) {
            if self.last.is_some_and(|last| !self.ended.contains(&last)) {
                text.push('\n');
            }
            text.push_str(&format!("#{number} {name}\n"));
            self.last = Some(place);
        }
        for line in lines {
            text.push_str(&format!("#{number} {line}\n"));
        }
        if self.ended.contains(&place) {
            text.push('\n');
        }
    }
}

/// `extracting 12kB / 1MB 0.3s done`.
fn told(task: &Task) -> String {
    let size = |bytes: i64| human::size(bytes.max(0), 3);
    let mut text = task.id.clone();
    if task.total > 0 {
        text.push_str(&format!(" {} / {}", size(task.current), size(task.total)));
    } else if task.current > 0 {
        text.push_str(&format!(" {}", size(task.current)));
    }
    if let (Some(_), Some(completed)) = (task.started, task.completed) {
        let took = seconds(task.started, completed);
        if took >= 0.05 {
            text.push_str(&format!(" {took:.1}s"));
        }
    }
    if task.completed.is_some() {
        text.push_str(" done");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::events::{Log, Vertex};
    use super::*;

    fn vertex(digest: &str, completed: Option<i128>) -> Events {
        let vertex = Vertex {
            digest: digest.to_owned(),
            name: format!("step {digest}"),
            started: Some(1),
            completed,
            ..Vertex::default()
        };
        Events {
            vertexes: vec![vertex],
            ..Events::default()
        }
    }

    fn log(digest: &str, text: &str) -> Events {
        let log = Log {
            vertex: digest.to_owned(),
            at: Some(500_000_001),
            stream: 1,
            data: text.as_bytes().to_vec(),
        };
        Events {
            logs: vec![log],
            ..Events::default()
        }
    }

    #[test]
    fn steps_that_run_at_once_are_told_apart() {
        let (mut plain, mut steps) = (Plain::new("x"), Steps::default());
        let mut text = String::new();
        for events in [
            vertex("a", None),
            vertex("b", None),
            log("a", "one\ntwo\n"),
            vertex("b", Some(1_500_000_001)),
            vertex("a", Some(2_000_000_001)),
        ] {
            text.push_str(&plain.lines(&mut steps, &events));
        }
        assert_eq!(
            text,
            "#0 building with \"x\" instance\n\n#1 step a\n\n#2 step b\n\n#1 step a\n#1 0.500 one\n\
             #1 0.500 two\n\n#2 step b\n#2 DONE 1.5s\n\n#1 step a\n#1 DONE 2.0s\n\n"
        );
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_one_line() {
        let (mut plain, mut steps) = (Plain::new("x"), Steps::default());
        let mut text = String::new();
        for events in [
            vertex("a", None),
            log("a", "  Compiling"),
            log("a", " #N one\r\ntw"),
            log("a", "o"),
            vertex("a", Some(2_000_000_001)),
        ] {
            text.push_str(&plain.lines(&mut steps, &events));
        }
        let (_, told) = text.split_once("step a\n").unwrap();
        assert_eq!(
            told,
            "#1 0.500   Compiling #N one\n#1 0.500 two\n#1 DONE 2.0s\n\n"
        );
    }
}
