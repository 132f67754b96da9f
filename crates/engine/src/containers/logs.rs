//! Reading what a container wrote: a thread reads the log, frames it as the
//! client expects it, and hands it over in pieces.

use std::collections::BTreeMap;
use std::thread;

use gantry_api::{StreamKind, Timestamp, frame_header};
use gantry_logs::{Entry, FollowControl, Query, Reader, Stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::container::Container;
use super::{Containers, Inner, log_settings};
use crate::clock::now_nano;
use crate::error::{Error, Result};

/// Pieces that wait for the client.
const WAITING: usize = 32;
/// Bytes that are collected into one piece, where more is known to come.
const PIECE: usize = 32 << 10;

/// What to read, as the query of the request has it.
#[derive(Debug, Clone, Default)]
pub struct LogsQuery {
    /// Standard output, and all output of a terminal.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Go on until the container ends.
    pub follow: bool,
    /// A time before each line.
    pub timestamps: bool,
    /// The log driver's attributes before each line.
    pub details: bool,
    /// Nothing before this time.
    pub since: Option<String>,
    /// Nothing after this time.
    pub until: Option<String>,
    /// So many lines from the end; everything else means all.
    pub tail: Option<String>,
}

/// A log being read. Dropping it ends the reading.
#[derive(Debug)]
pub struct LogStream {
    /// Whether the container has a terminal: then all bytes are raw, else they
    /// are multiplexed.
    pub tty: bool,
    /// The pieces; closed at the end of the log.
    pub chunks: Receiver<Result<Vec<u8>>>,
    _follow: Option<Following>,
}

/// Ends the reading with the client.
#[derive(Debug)]
struct Following(FollowControl);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Containers {
    /// Reads a container's log.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Invalid` when no stream is chosen, or a time is none;
    /// `Logs` when the log driver keeps nothing.
    pub fn logs(&self, idref: &str, query: &LogsQuery) -> Result<LogStream> {
        if !query.stdout && !query.stderr {
            return Err(Error::Invalid(
                "Bad parameters: you must choose at least one stream".to_owned(),
            ));
        }
        let container = self.inner.find(idref)?;
        self.inner.log_stream(&container, query)
    }
}

impl Inner {
    pub(super) fn log_stream(&self, container: &Container, query: &LogsQuery) -> Result<LogStream> {
        let settings = log_settings::for_reading(&container.record(), &self.settings)?;
        let tty = container.record().config.tty;
        let follow = query.follow.then(FollowControl::new).transpose()?;
        if let Some(control) = &follow {
            container.add_follower(control.clone());
        }
        let reader = Reader::open(
            &settings,
            Query {
                tail: query.tail.as_deref().and_then(|tail| tail.parse().ok()),
                since: time("since", &query.since)?,
                until: time("until", &query.until)?,
                stdout: query.stdout,
                stderr: query.stderr,
                follow: follow.clone(),
            },
        )?;
        let form = Form {
            tty,
            timestamps: query.timestamps,
            details: query.details,
            collect: follow.is_none(),
        };
        let (sender, chunks) = channel(WAITING);
        thread::Builder::new()
            .name("engine-logs".to_owned())
            .spawn(move || form.send_all(reader, &sender))
            .map_err(|error| Error::io("start thread", "logs", error))?;
        Ok(LogStream {
            tty,
            chunks,
            _follow: follow.map(Following),
        })
    }
}

/// A time of the query; nothing and `0` are none.
fn time(name: &str, text: &Option<String>) -> Result<Option<gantry_logs::Timestamp>> {
    let Some(text) = text.as_deref().filter(|text| !matches!(*text, "" | "0")) else {
        return Ok(None);
    };
    let time = Timestamp::parse(name, text, now_nano())
        .map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(Some(gantry_logs::Timestamp {
        seconds: time.nanos.div_euclid(1_000_000_000),
        nanoseconds: u32::try_from(time.nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }))
}

/// How records are shown.
#[derive(Debug, Clone, Copy)]
struct Form {
    tty: bool,
    timestamps: bool,
    details: bool,
    /// Whether records are collected into larger pieces: not while following,
    /// where the next may be long in coming.
    collect: bool,
}

impl Form {
    fn send_all(self, reader: Reader, sender: &Sender<Result<Vec<u8>>>) {
        let mut piece = Vec::new();
        for entry in reader {
            match entry {
                Ok(entry) => self.append(&entry, &mut piece),
                Err(error) => {
                    // A client that has gone does not care.
                    let _ = sender.blocking_send(Err(error.into()));
                    return;
                }
            }
            if self.collect && piece.len() < PIECE {
                continue;
            }
            if sender
                .blocking_send(Ok(std::mem::take(&mut piece)))
                .is_err()
            {
                return;
            }
        }
        if !piece.is_empty() {
            let _ = sender.blocking_send(Ok(piece));
        }
    }

    fn append(self, entry: &Entry, piece: &mut Vec<u8>) {
        let mut prefix = String::new();
        if self.timestamps {
            prefix.push_str(&entry.time.rfc3339_fixed());
            prefix.push(' ');
        }
        if self.details {
            prefix.push_str(&attributes(&entry.attributes));
            prefix.push(' ');
        }
        if !self.tty {
            let kind = match entry.stream {
                Stream::Stdout => StreamKind::Stdout,
                Stream::Stderr => StreamKind::Stderr,
            };
            let len = prefix.len() + entry.line.len();
            piece.extend(frame_header(kind, u32::try_from(len).unwrap_or(u32::MAX)));
        }
        piece.extend(prefix.as_bytes());
        piece.extend(&entry.line);
    }
}

/// `key=value` pairs, joined by commas, each escaped as in a URL's query.
fn attributes(attributes: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = attributes
        .iter()
        .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
        .collect();
    pairs.join(",")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            time: gantry_logs::Timestamp {
                seconds: 1,
                nanoseconds: 5,
            },
            stream: Stream::Stderr,
            line: b"hi\n".to_vec(),
            attributes: BTreeMap::from([("a b".to_owned(), "c&".to_owned())]),
        }
    }

    #[test]
    fn records_are_framed_and_prefixed() {
        let mut form = Form {
            tty: false,
            timestamps: false,
            details: false,
            collect: true,
        };
        let mut piece = Vec::new();
        form.append(&entry(), &mut piece);
        assert_eq!(piece, b"\x02\0\0\0\0\0\0\x03hi\n");
        (form.tty, form.timestamps, form.details) = (true, true, true);
        piece.clear();
        form.append(&entry(), &mut piece);
        assert_eq!(piece, b"1970-01-01T00:00:01.000000005Z a+b=c%26 hi\n");
    }

    #[test]
    fn zero_is_no_time() {
        assert_eq!(time("since", &Some("0".to_owned())).unwrap(), None);
        let parsed = time("since", &Some("5.5".to_owned())).unwrap().unwrap();
        assert_eq!((parsed.seconds, parsed.nanoseconds), (5, 500_000_000));
        assert!(time("since", &Some("x".to_owned())).is_err());
    }
}
