//! Progress as a table on a terminal, drawn again in its own place: steps with their
//! times, what goes on within those that run, and the last lines that those have said.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::events::{Task, Time};
use super::steps::{Step, Steps, seconds};
use crate::output::human;

/// How many lines of output are shown of a step that runs.
const OUTPUT: usize = 6;

/// What was drawn.
#[derive(Default)]
pub(super) struct Table {
    lines: usize,
    begun: Option<Time>,
}

impl Table {
    /// What draws the table as it is now.
    pub(super) fn draw(&mut self, steps: &Steps, end: bool) -> String {
        let now = now();
        let (width, height) = window();
        let first = steps.all.iter().filter_map(|step| step.vertex.started);
        let begun = *self.begun.get_or_insert(first.min().unwrap_or(now));
        let shown: Vec<&Step> = steps
            .all
            .iter()
            .filter(|step| step.vertex.started.is_some())
            .collect();
        let done = shown.iter().filter(|step| !step.running()).count();
        let state = if end && done == shown.len() {
            " FINISHED"
        } else {
            ""
        };
        let took = seconds(Some(begun), now);
        let mut lines = Vec::new();
        for step in shown.iter().copied() {
            rows(step, now, width, &mut lines);
        }
        // What does not fit cannot be drawn again: the oldest is left out until the end.
        let room = height.saturating_sub(2).max(1);
        if !end && lines.len() > room {
            lines.drain(..lines.len() - room);
        }
        let heading = format!(
            "[+] Building {took:.1}s ({done}/{}){state}",
            steps.all.len()
        );
        lines.insert(0, fit(&heading, width));
        let mut text = match self.lines {
            0 => String::new(),
            up => format!("\x1b[{up}A\r\x1b[J"),
        };
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.lines = if end { 0 } else { lines.len() };
        text
    }
}

/// The rows of a step.
fn rows(step: &Step, now: Time, width: usize, lines: &mut Vec<String>) {
    let vertex = &step.vertex;
    let mark = match vertex.error.as_str() {
        "" if vertex.cached => "CACHED ",
        "" => "",
        "context canceled" => "CANCELED ",
        _ => "ERROR ",
    };
    let colour = match (mark, step.running()) {
        ("ERROR ", _) => "\x1b[31m",
        ("CANCELED ", _) => "\x1b[33m",
        (_, true) => "",
        _ => "\x1b[34m",
    };
    let name = format!(" => {mark}{}", vertex.name);
    lines.push(row(&name, step.took(now), colour, width));
    for task in &step.tasks {
        let took = seconds(task.started, task.completed.unwrap_or(now));
        lines.push(row(&told(task), took, colour, width));
    }
    if step.running() {
        let from = step.output.len().saturating_sub(OUTPUT);
        for (_, line) in step.output.iter().skip(from) {
            let line = visible(line);
            lines.push(format!(
                "\x1b[2m{}\x1b[0m",
                fit(&format!(" => => # {line}"), width)
            ));
        }
    }
}

fn told(task: &Task) -> String {
    let size = |bytes: i64| human::size(bytes.max(0), 3);
    let figures = match (task.current, task.total) {
        (0, 0) => String::new(),
        (current, 0) => format!(" {}", size(current)),
        (current, total) => format!(" {} / {}", size(current), size(total)),
    };
    format!(" => => {}{figures}", task.id)
}

/// A row with its time at the right.
fn row(text: &str, seconds: f64, colour: &str, width: usize) -> String {
    let time = format!("{seconds:.1}s");
    let room = width.saturating_sub(time.len() + 1);
    let text = fit(&visible(text), room);
    let end = if colour.is_empty() { "" } else { "\x1b[0m" };
    format!("{colour}{text:room$} {time}{end}")
}

/// Without what a terminal would do something with.
fn visible(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => {
                // A sequence ends with its first letter.
                for next in characters.by_ref() {
                    if next.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
            '\t' => out.push(' '),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

fn fit(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| Time::try_from(since.as_nanos()).unwrap_or(0))
}

/// Columns and lines of the terminal.
fn window() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => (usize::from(size.ws_col), usize::from(size.ws_row)),
        _ => (80, 24),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::events::{Events, Log, Vertex};
    use super::*;

    #[test]
    fn what_a_step_says_cannot_draw() {
        assert_eq!(visible("a\x1b[31mred\x1b[0m\rb\tc"), "aredb c");
        let vertex = Vertex {
            digest: "v".to_owned(),
            name: "a step".to_owned(),
            started: Some(1),
            ..Vertex::default()
        };
        let log = Log {
            vertex: "v".to_owned(),
            data: b"one\ntwo \x1b[2Jx".to_vec(),
            ..Log::default()
        };
        let mut steps = Steps::default();
        steps.take(&Events {
            vertexes: vec![vertex],
            logs: vec![log],
            ..Events::default()
        });
        let mut table = Table::default();
        let first = table.draw(&steps, false);
        assert!(
            first.contains(" => a step") && first.contains(" => => # two x"),
            "{first:?}"
        );
        assert!(!first.contains("\x1b[2J") && table.lines == 4);
        assert!(table.draw(&steps, false).starts_with("\x1b[4A\r\x1b[J"));
    }
}
