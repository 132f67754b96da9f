//! The reading side, used by the daemon: an iterator over records, which may
//! begin near the end and may wait for more.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use crate::Stream;
use crate::error::{Error, Result};
use crate::follow::{FollowControl, Waiter};
use crate::opened::{Open, Step, keep_last, open_all, successor};
use crate::settings::{Format, Settings};
use crate::timestamp::Timestamp;

/// One record: a line, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub time: Timestamp,
    /// Where it was written to.
    pub stream: Stream,
    /// The text, with its line feed unless it is a piece that others follow, or
    /// the container's last words.
    pub line: Vec<u8>,
    /// The attributes of `json-file`, sorted.
    pub attributes: BTreeMap<String, String>,
}

/// What to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Only the last so many records; counted before the other choices, as
    /// Docker counts.
    pub tail: Option<usize>,
    /// Nothing before this.
    pub since: Option<Timestamp>,
    /// Nothing after this; the first record after it ends the reading.
    pub until: Option<Timestamp>,
    /// Whether standard output is wanted.
    pub stdout: bool,
    /// Whether standard error is wanted.
    pub stderr: bool,
    /// Wait for more until this control says otherwise.
    pub follow: Option<FollowControl>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            tail: None,
            since: None,
            until: None,
            stdout: true,
            stderr: true,
            follow: None,
        }
    }
}

/// Iterates over a container's log. After an error it ends.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    path: PathBuf,
    query: Query,
    waiter: Option<Waiter>,
    current: Option<Open>,
    /// Files after the current one, oldest first.
    next: VecDeque<Open>,
    done: bool,
}

impl Reader {
    /// Opens a log for reading. A log that does not exist yet is empty.
    pub fn open(settings: &Settings, query: Query) -> Result<Self> {
        if settings.format == Format::None {
            return Err(Error::NotReadable);
        }
        // Watch first, look then.
        let directory = settings.path.parent().unwrap_or(Path::new("/"));
        let follow = query.follow.clone();
        let waiter = follow.map(|control| Waiter::new(control, directory));
        let mut next = open_all(&settings.path)?;
        if let Some(wanted) = query.tail {
            keep_last(settings.format, &mut next, wanted)
                .map_err(|source| Error::io("read", &settings.path, source))?;
        }
        Ok(Self {
            format: settings.format,
            path: settings.path.clone(),
            query,
            waiter,
            current: next.pop_front(),
            next,
            done: false,
        })
    }

    fn step(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(control) = &self.query.follow
                && control.is_cancelled()
            {
                return Ok(None);
            }
            // Asked before the file: what was written before the end is seen.
            let finished = match &self.waiter {
                Some(waiter) => waiter.control().is_finished(),
                None => true,
            };
            let format = self.format;
            let step = match &mut self.current {
                Some(open) => open.step(format),
                None => Ok(Step::End),
            };
            match step.map_err(|source| Error::io("read", &self.path, source))? {
                Step::Entry(entry) => return Ok(Some(entry)),
                Step::Progress => {}
                Step::End if self.advance()? => {}
                Step::End if finished => return Ok(None),
                Step::End => {
                    if let Some(waiter) = &self.waiter {
                        waiter.wait();
                    }
                }
            }
        }
    }

    /// At the end of a file: goes to the next one, if there is one.
    fn advance(&mut self) -> Result<bool> {
        if let Some(next) = self.next.pop_front() {
            self.current = Some(next);
            return Ok(true);
        }
        if self.waiter.is_none() {
            return Ok(false);
        }
        let Some(open) = &mut self.current else {
            self.next = open_all(&self.path)?;
            self.current = self.next.pop_front();
            return Ok(self.current.is_some());
        };
        match successor(&self.path, open.identity())? {
            None => Ok(false),
            // Written between our last read and the rotation.
            Some(_) if open.has_more() => Ok(true),
            Some(next) => {
                self.current = Some(next);
                Ok(true)
            }
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        let stream = match entry.stream {
            Stream::Stdout => self.query.stdout,
            Stream::Stderr => self.query.stderr,
        };
        stream && self.query.since.is_none_or(|since| entry.time >= since)
    }
}

impl Iterator for Reader {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        while !self.done {
            match self.step() {
                Ok(Some(entry)) => {
                    if self.query.until.is_some_and(|until| entry.time > until) {
                        self.done = true;
                    } else if self.wants(&entry) {
                        return Some(Ok(entry));
                    }
                }
                Ok(None) => self.done = true,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
