//! How a build is shown while it runs: as lines, as a table that is drawn again and
//! again, as JSON, or not at all.

mod plain;
mod steps;
mod table;

use std::io::Write;

use super::events::{Events, Warning};
use plain::Plain;
use steps::Steps;
use table::Table;

/// How progress is shown.
pub(super) struct Show {
    kind: Kind,
    steps: Steps,
}

enum Kind {
    /// Nothing, unless the build fails.
    Quiet,
    /// Lines.
    Plain(Plain),
    /// A table on a terminal.
    Table(Table),
    /// Every message.
    Json,
}

impl Show {
    /// The one that the user wishes, or that fits where it is shown.
    pub(super) fn new(wish: &str) -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let kind = match wish {
            "quiet" | "none" => Kind::Quiet,
            "rawjson" => Kind::Json,
            "tty" => Kind::Table(Table::default()),
            "auto" if terminal => Kind::Table(Table::default()),
            _ => Kind::Plain(Plain::new("default")),
        };
        Self {
            kind,
            steps: Steps::default(),
        }
    }

    /// Shows what has happened.
    pub(super) fn events(&mut self, events: &Events) {
        match &mut self.kind {
            Kind::Json => put(&format!("{}\n", events.json())),
            Kind::Quiet => drop(self.steps.take(events)),
            Kind::Plain(plain) => put(&plain.lines(&mut self.steps, events)),
            Kind::Table(table) => {
                self.steps.take(events);
                put(&table.draw(&self.steps, false));
            }
        }
    }

    /// Draws again what changes with time.
    pub(super) fn tick(&mut self) {
        if let Kind::Table(table) = &mut self.kind {
            put(&table.draw(&self.steps, false));
        }
    }

    /// The build is over: shows what must be seen of it.
    pub(super) fn end(&mut self, failed: bool) {
        if let Kind::Table(table) = &mut self.kind {
            put(&table.draw(&self.steps, true));
        }
        match (&self.kind, failed) {
            (Kind::Json, _) | (Kind::Quiet, false) => {}
            (_, true) => put(&self.steps.failures()),
            (_, false) => put(&warned(&self.steps.warnings)),
        }
    }
}

fn warned(warnings: &[Warning]) -> String {
    let number = match warnings.len() {
        0 => return String::new(),
        1 => "1 warning found".to_owned(),
        number => format!("{number} warnings found"),
    };
    let shown = warnings
        .iter()
        .map(|warning| format!(" - {}\n", warning.short));
    format!(
        "\n {number} (use docker --debug to expand):\n{}",
        shown.collect::<String>()
    )
}

fn put(text: &str) {
    // Who does not look any more misses nothing.
    std::io::stderr().write_all(text.as_bytes()).ok();
}
