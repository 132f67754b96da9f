//! `stats`: what containers use, drawn again twice a second.
//!
//! One stream per container; without operands, events add and remove
//! containers. All of it runs on this thread and meets in one board.

mod figures;

use std::cell::RefCell;
use std::time::Duration;

use futures_util::future::{Either, LocalBoxFuture, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use gantry_api::{ContainerSummary, Event, Filters};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::error::Error;
use crate::output::formatter::{Row, render};
use crate::session::Session;
use crate::transport::{Answer, Call};
use figures::{Figures, row, shape};

/// How often the table is drawn.
const PERIOD: Duration = Duration::from_millis(500);
/// A container that says nothing for so long is shown without figures.
const SILENCE: Duration = Duration::from_secs(2);

/// A container on the board, by the name it was asked for.
struct Entry {
    name: String,
    figures: Option<Figures>,
    error: Option<Error>,
}

/// All containers, in the order they came.
#[derive(Default)]
struct Board(RefCell<Vec<Entry>>);

impl Board {
    /// Adds a container; false when it is there already.
    fn add(&self, name: &str) -> bool {
        let mut entries = self.0.borrow_mut();
        let is_new = entries.iter().all(|entry| entry.name != name);
        if is_new {
            entries.push(Entry {
                name: name.to_owned(),
                figures: None,
                error: None,
            });
        }
        is_new
    }

    fn remove(&self, name: &str) {
        self.0.borrow_mut().retain(|entry| entry.name != name);
    }

    fn set(&self, name: &str, figures: Result<Figures, Error>) {
        let mut entries = self.0.borrow_mut();
        let Some(entry) = entries.iter_mut().find(|entry| entry.name == name) else {
            return;
        };
        match figures {
            Ok(figures) => {
                entry.figures = Some(figures);
                entry.error = None;
            }
            Err(error) => {
                entry.figures = None;
                entry.error = Some(error);
            }
        }
    }

    fn rows(&self, truncate: bool) -> Vec<Row> {
        let entries = self.0.borrow();
        let rows = entries.iter();
        rows.map(|entry| row(&entry.name, entry.figures.as_ref(), truncate))
            .collect()
    }

    fn errors(&self) -> Vec<String> {
        let entries = self.0.borrow();
        let errors = entries.iter().filter_map(|entry| entry.error.as_ref());
        errors.map(ToString::to_string).collect()
    }
}

/// `docker stats`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let board = Board::default();
        let everything = matches.operands.is_empty();
        if matches.bool("no-stream") {
            let names = match everything {
                true => list(session, matches.bool("all")).await?,
                false => matches.operands.clone(),
            };
            return once(session, matches, &board, &names).await;
        }
        let (sender, receiver) = unbounded_channel();
        let drawing = draw(session, matches, &board, !everything);
        let collecting = collect_all(session, &board, receiver);
        let following = follow(session, matches, &board, sender);
        futures_util::pin_mut!(drawing, collecting, following);
        match select(drawing, select(collecting, following)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right((Either::Left(((), _)), _)) => Ok(0),
            Either::Right((Either::Right((outcome, _)), _)) => outcome.map(|()| 0),
        }
    })
}

async fn list(session: &Session, all: bool) -> Result<Vec<String>, Error> {
    let call = Call::get("/containers/json").query_if("all", all);
    let found: Vec<ContainerSummary> = session.client.json(&call).await?;
    Ok(found
        .into_iter()
        .map(|container| short(&container.id))
        .collect())
}

fn short(id: &str) -> String {
    super::names::short_id(id).to_owned()
}

/// The first figures of every container, once.
async fn once(session: &Session, matches: &Matches, board: &Board, names: &[String]) -> Outcome {
    let names: Vec<&String> = names.iter().filter(|name| board.add(name)).collect();
    let first = names.iter().map(|name| async {
        let asked = tokio::time::timeout(SILENCE * 5, figures(session, name)).await;
        let silent = || Error::message("timeout waiting for stats");
        board.set(name, asked.unwrap_or_else(|_| Err(silent())));
    });
    join_all(first).await;
    let errors = board.errors();
    if !matches.operands.is_empty() && !errors.is_empty() {
        return Err(Error::Several(errors));
    }
    session.printer.out(&table(session, matches, board)?);
    Ok(0)
}

async fn figures(session: &Session, name: &str) -> Result<Figures, Error> {
    let call = Call::get(container_path(name, "/stats")?).query("stream", "0");
    session.client.json(&call).await
}

fn table(session: &Session, matches: &Matches, board: &Board) -> Result<String, Error> {
    let format = match matches.text("format") {
        "" => session.settings.config.stats_format.as_str(),
        format => format,
    };
    let rows = board.rows(!matches.bool("no-trunc"));
    render(&shape(), &rows, format, false)
}

/// Draws for ever; with `named` containers only until their first error.
async fn draw(session: &Session, matches: &Matches, board: &Board, named: bool) -> Outcome {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let waiting = board
            .0
            .borrow()
            .iter()
            .any(|entry| entry.figures.is_none() && entry.error.is_none());
        let errors = board.errors();
        if named && !errors.is_empty() {
            return Err(Error::Several(errors));
        }
        if named && waiting {
            continue;
        }
        let text = table(session, matches, board)?;
        session.printer.out(&match session.printer.is_terminal() {
            true => redrawn(&text),
            false => text,
        });
    }
}

/// The text over what was there: from the top, each line cleared to its end,
/// and everything below.
fn redrawn(text: &str) -> String {
    let mut out = String::from("\x1b[H");
    for line in text.lines() {
        out.push_str(line);
        out.push_str("\x1b[K\n");
    }
    out.push_str("\x1b[J");
    out
}

/// Names containers to collect from: those of the command line, or all, and
/// then those that start. Ends only when the daemon goes.
async fn follow(
    session: &Session,
    matches: &Matches,
    board: &Board,
    found: UnboundedSender<String>,
) -> Result<(), Error> {
    if !matches.operands.is_empty() {
        for name in &matches.operands {
            if board.add(name) {
                let _ = found.send(name.clone());
            }
        }
        return std::future::pending().await;
    }
    let all = matches.bool("all");
    let mut wanted = Filters::new();
    wanted.add("type", "container");
    // Events come first, so that no container starts unseen.
    let call = Call::get("/events").query("filters", &wanted.to_json());
    let mut events: Values = Values::new(session.client.send(&call).await?);
    let add = |name: String| {
        if board.add(&name) {
            let _ = found.send(name);
        }
    };
    for name in list(session, all).await? {
        add(name);
    }
    while let Some(event) = events.next::<Event>().await? {
        let name = short(&event.actor.id);
        match event.action.as_str() {
            "start" => add(name),
            "create" if all => add(name),
            "die" if !all => board.remove(&name),
            "destroy" => board.remove(&name),
            _ => {}
        }
    }
    Ok(())
}

/// Collects from every container that is named, for ever.
async fn collect_all(session: &Session, board: &Board, mut found: UnboundedReceiver<String>) {
    let mut streams = FuturesUnordered::new();
    loop {
        tokio::select! {
            name = found.recv() => match name {
                Some(name) => streams.push(collect(session, board, name)),
                None => return std::future::pending().await,
            },
            Some(()) = streams.next() => {}
        }
    }
}

async fn collect(session: &Session, board: &Board, name: String) {
    let opened = async {
        let call = Call::get(container_path(&name, "/stats")?).query("stream", "1");
        session.client.send(&call).await
    };
    let mut values = match opened.await {
        Ok(answer) => Values::new(answer),
        Err(error) => return board.set(&name, Err(error)),
    };
    loop {
        let next = tokio::time::timeout(SILENCE, values.next()).await;
        match next {
            Ok(Ok(Some(figures))) => board.set(&name, Ok(figures)),
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return board.set(&name, Err(error)),
            Err(_) => {
                if let Some(entry) = board.0.borrow_mut().iter_mut().find(|e| e.name == name) {
                    entry.figures = Some(Figures::default());
                }
            }
        }
    }
}

/// JSON values, one after the other, of an answer without end.
struct Values {
    answer: Answer,
    pending: Vec<u8>,
}

impl Values {
    fn new(answer: Answer) -> Self {
        Self {
            answer,
            pending: Vec::new(),
        }
    }

    async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.pending).into_iter::<T>();
            match values.next() {
                Some(Ok(value)) => {
                    let done = values.byte_offset();
                    self.pending.drain(..done);
                    return Ok(Some(value));
                }
                Some(Err(error)) if !error.is_eof() => {
                    return Err(Error::message(format!("invalid answer: {error}")));
                }
                _ => {}
            }
            match self.answer.next().await? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_keeps_order() {
        let board = Board::default();
        assert!(board.add("b") && board.add("a") && !board.add("b"));
        board.set("a", Err(Error::message("gone")));
        assert_eq!(board.errors(), ["gone"]);
        board.remove("b");
        assert_eq!(board.rows(true).len(), 1);
        assert_eq!(redrawn("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
