//! Telling a service every line: what a process of its own does beside the shim,
//! because a service may be slow, or away.
//!
//! ```text
//! shim ── records, as in `local` files ──▶ pipe ──▶ Speaker ── the service's protocol ──▶ service
//! ```
//!
//! A speaker blocks as long as its service lets it wait; what that means for the
//! container is the shim's affair. After an error it connects again.

mod connection;
pub mod fluentd;
pub mod gelf;
pub mod journald;
mod line;
mod msgpack;
pub mod syslog;

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Found};
use crate::error::Result;
use crate::local;
use crate::settings::{Format, Settings};
use crate::writer::Writer;
pub use connection::{Endpoint, Transport};
use line::{Line, Lines};

/// What becomes of each line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// It is written to the container's own log, by another process so that a
    /// slow disk holds nobody up.
    File,
    /// It goes to the journal.
    Journald(journald::Settings),
    /// It goes to a syslog service.
    Syslog(syslog::Settings),
    /// It goes to a forward service.
    Fluentd(fluentd::Settings),
    /// It goes to a Graylog service.
    Gelf(gelf::Settings),
}

impl Service {
    /// Whether the log's files are written by the speaker.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File)
    }
}

/// One service, being spoken to.
#[derive(Debug)]
pub struct Speaker {
    voice: Voice,
    lines: Lines,
}

#[derive(Debug)]
enum Voice {
    File(Settings, Option<Box<Writer>>),
    Journald(journald::Journal),
    Syslog(syslog::Syslog),
    Fluentd(fluentd::Fluentd),
    Gelf(gelf::Gelf),
}

impl Speaker {
    /// One that is not connected yet; `None` if nobody is to be told.
    pub fn new(settings: &Settings) -> Option<Self> {
        let speaking = settings.speaking.as_ref()?;
        let voice = match speaking.to.clone() {
            Service::File => {
                let mut settings = settings.clone();
                settings.speaking = None;
                Voice::File(settings, None)
            }
            Service::Journald(settings) => Voice::Journald(journald::Journal::new(settings)),
            Service::Syslog(settings) => Voice::Syslog(syslog::Syslog::new(settings)),
            Service::Fluentd(settings) => Voice::Fluentd(fluentd::Fluentd::new(settings)),
            Service::Gelf(settings) => Voice::Gelf(gelf::Gelf::new(settings)),
        };
        Some(Self {
            voice,
            lines: Lines::default(),
        })
    }

    /// Connects, so that a container whose output has nowhere to go does not
    /// start.
    ///
    /// # Errors
    /// `Dial` and `Unreachable`; `Io` for a file.
    pub fn connect(&mut self) -> Result<()> {
        match &mut self.voice {
            // Kept open by the process that writes, and by no other.
            Voice::File(settings, _) => Writer::open(settings.clone()).map(drop),
            Voice::Journald(journal) => journal.connect(),
            Voice::Syslog(syslog) => syslog.connect(),
            Voice::Fluentd(fluentd) => fluentd.connect(),
            Voice::Gelf(gelf) => gelf.connect(),
        }
    }

    /// The connection's descriptor.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.voice {
            Voice::File(..) => None,
            Voice::Journald(journal) => journal.descriptor(),
            Voice::Syslog(syslog) => syslog.descriptor(),
            Voice::Fluentd(fluentd) => fluentd.descriptor(),
            Voice::Gelf(gelf) => gelf.descriptor(),
        }
    }

    /// Tells all whole records at the start of `bytes`; how many bytes they were.
    /// What a service does not take in spite of all attempts is lost.
    pub fn tell(&mut self, bytes: &[u8]) -> usize {
        let mut told = 0;
        loop {
            let rest = &bytes[told..];
            match codec::extent(Format::Local, rest) {
                Found::Record(length, ()) => {
                    told += length;
                    let body = &rest[local::LENGTH..length - local::LENGTH];
                    if let Some(record) = local::Record::read(body) {
                        let line = self.lines.next(record);
                        self.voice.tell(&line);
                    }
                }
                Found::Incomplete => break,
                // The other side is this program, too.
                Found::Corrupt => return bytes.len(),
            }
        }
        self.voice.flush();
        told
    }

    /// No more comes.
    pub fn finish(self) {
        if let Voice::File(_, Some(writer)) = self.voice {
            writer.close();
        }
    }
}

impl Voice {
    fn tell(&mut self, line: &Line<'_>) {
        match self {
            Self::File(settings, writer) => {
                if writer.is_none() {
                    *writer = Writer::open(settings.clone()).map(Box::new).ok();
                }
                if let Some(writer) = writer {
                    // A full disk costs these lines, here as in the shim.
                    let _ = writer.add(line.record.stream, line.record.piece());
                }
            }
            Self::Journald(journal) => journal.tell(line),
            Self::Syslog(syslog) => syslog.tell(line),
            Self::Fluentd(fluentd) => fluentd.tell(line),
            Self::Gelf(gelf) => gelf.tell(line),
        }
    }

    fn flush(&mut self) {
        match self {
            Self::File(_, Some(writer)) => {
                let _ = writer.flush();
            }
            Self::Syslog(syslog) => syslog.flush(),
            Self::Fluentd(fluentd) => fluentd.flush(),
            Self::File(_, None) | Self::Journald(_) | Self::Gelf(_) => {}
        }
    }
}

/// How long the record at the start of `bytes` is, if a whole one is there.
pub fn record_length(bytes: &[u8]) -> Option<usize> {
    match codec::extent(Format::Local, bytes) {
        Found::Record(length, ()) => Some(length),
        Found::Incomplete | Found::Corrupt => None,
    }
}
