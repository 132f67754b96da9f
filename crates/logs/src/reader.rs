//! The reading side, used by the daemon: an iterator over records, which may
//! begin near the end and may wait for more.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Stream;
use crate::codec::{self, Found};
use crate::error::{Error, Result};
use crate::follow::{FollowControl, Waiter};
use crate::settings::{Driver, Settings};
use crate::timestamp::Timestamp;
use crate::{rotation, tail};

const CHUNK: usize = 32 << 10;
/// More rotated files than any setting allows are not looked for.
const MAX_FILES: u32 = 1000;

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
    driver: Driver,
    path: PathBuf,
    query: Query,
    waiter: Option<Waiter>,
    current: Option<Open>,
    /// Files after the current one, oldest first.
    next: VecDeque<Open>,
    done: bool,
}

/// A file being read. What is read but not used yet is `buffer[used..]`.
#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    buffer: Vec<u8>,
    used: usize,
    /// Offset of the next byte to be read.
    offset: u64,
    corrupt: bool,
}

/// What is at hand in the current file.
enum Step {
    Entry(Entry),
    /// Bytes were used up or read; look again.
    Progress,
    End,
}

impl Reader {
    /// Opens a log for reading. A log that does not exist yet is empty.
    pub fn open(settings: &Settings, query: Query) -> Result<Self> {
        if settings.driver == Driver::None {
            return Err(Error::NotReadable);
        }
        // Watch first, look then.
        let directory = settings.path.parent().unwrap_or(Path::new("/"));
        let follow = query.follow.clone();
        let waiter = follow.map(|control| Waiter::new(control, directory));
        let mut next = open_all(&settings.path)?;
        if let Some(wanted) = query.tail {
            keep_last(settings.driver, &mut next, wanted)
                .map_err(|source| Error::io("read", &settings.path, source))?;
        }
        Ok(Self {
            driver: settings.driver,
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
            let driver = self.driver;
            let step = match &mut self.current {
                Some(open) => open.step(driver),
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
        match successor(&self.path, open.identity)? {
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

impl Open {
    fn step(&mut self, driver: Driver) -> io::Result<Step> {
        if self.corrupt {
            return Ok(Step::End);
        }
        match codec::first(driver, &self.buffer[self.used..]) {
            Found::Record(length, entry) => {
                self.used += length;
                Ok(entry.map_or(Step::Progress, Step::Entry))
            }
            Found::Corrupt => {
                self.corrupt = true;
                Ok(Step::End)
            }
            Found::Incomplete => self.fill(),
        }
    }

    fn fill(&mut self) -> io::Result<Step> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let count = self
            .file
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut self.buffer)?;
        self.offset += count as u64;
        if count > 0 {
            return Ok(Step::Progress);
        }
        if self.file.metadata()?.len() < self.offset {
            // Somebody emptied the file by hand.
            self.offset = self.file.seek(SeekFrom::Start(0))?;
            self.buffer.clear();
            return Ok(Step::Progress);
        }
        Ok(Step::End)
    }

    fn has_more(&self) -> bool {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        !self.corrupt && length > self.offset
    }

    fn start_at(&mut self, offset: u64) -> io::Result<()> {
        self.offset = self.file.seek(SeekFrom::Start(offset))?;
        Ok(())
    }
}

/// Opens the file of an age; `None` when there is none.
fn open_at(path: &Path, age: u32) -> Result<Option<Open>> {
    let name = rotation::name(path, age);
    let opened = File::open(&name).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, file)) => Ok(Some(Open {
            file,
            identity: (metadata.dev(), metadata.ino()),
            buffer: Vec::new(),
            used: 0,
            offset: 0,
            corrupt: false,
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("open", &name, source)),
    }
}

/// Opens all files, and returns them oldest first. They are opened newest
/// first: a rotation meanwhile moves files towards the ages that come next, so
/// one may be met twice, but none is missed.
fn open_all(path: &Path) -> Result<VecDeque<Open>> {
    let mut files: VecDeque<Open> = VecDeque::new();
    let mut missing = 0;
    for age in 0..MAX_FILES {
        match open_at(path, age)? {
            Some(open) if files.iter().any(|f| f.identity == open.identity) => {}
            Some(open) => files.push_front(open),
            // In the middle of a rotation one name may be empty.
            None => missing += 1,
        }
        if missing > 1 {
            break;
        }
    }
    Ok(files)
}

/// Drops all but the last `wanted` records.
fn keep_last(driver: Driver, files: &mut VecDeque<Open>, wanted: usize) -> io::Result<()> {
    let mut missing = wanted;
    let mut first = files.len();
    for (at, open) in files.iter_mut().enumerate().rev() {
        let newest = first == at + 1 && missing == wanted;
        if missing == 0 && !newest {
            break;
        }
        let (offset, found) = tail::last_records(driver, &mut open.file, missing)?;
        open.start_at(offset)?;
        missing -= found;
        first = at;
    }
    files.drain(..first);
    Ok(())
}

/// The file that was begun after the one of this identity was rotated away;
/// `None` while it is still the newest.
fn successor(path: &Path, identity: (u64, u64)) -> Result<Option<Open>> {
    let is_ours = |age| {
        let metadata = std::fs::metadata(rotation::name(path, age));
        metadata.is_ok_and(|m| (m.dev(), m.ino()) == identity)
    };
    // Each try may meet a rotation; ten in a row nobody makes.
    for _ in 0..10 {
        if is_ours(0) {
            return Ok(None);
        }
        let Some(oldest) = (0..MAX_FILES)
            .take_while(|&age| age <= 1 || rotation::name(path, age).exists())
            .last()
        else {
            return Ok(None);
        };
        match (1..=oldest).find(|&age| is_ours(age)) {
            Some(age) => {
                let next = open_at(path, age - 1)?;
                if is_ours(age) {
                    return Ok(next);
                }
            }
            // Removed already: go on with the oldest that there is.
            None => {
                for age in (0..=oldest).rev() {
                    if let Some(next) = open_at(path, age)? {
                        return Ok(Some(next));
                    }
                }
                return Ok(None);
            }
        }
    }
    Ok(None)
}
