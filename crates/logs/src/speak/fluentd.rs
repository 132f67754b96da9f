//! Fluentd's forward protocol in its message mode:
//!
//! ```text
//! [tag, time, {container_id, container_name, source, log, …}, {chunk: id}]   ──▶
//!                                                     ◀── {ack: id}, if asked for
//! ```

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::connection::{Connection, Endpoint};
use super::line::{Line, random_id};
use super::msgpack::{self, Ack};
use crate::error::Result;

/// So much is sent at once.
const BATCH: usize = 32 << 10;
/// The longest pause between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long an acknowledgement may take.
const ACK_PATIENCE: Duration = Duration::from_secs(60);

/// One container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the service is.
    pub endpoint: Endpoint,
    /// What messages are called.
    pub tag: String,
    /// What each says beside its text.
    pub record: Vec<(String, String)>,
    /// Whether the container starts without a connection, and never waits for one.
    pub asynchronous: bool,
    /// After this time a new connection is made.
    pub reconnect_interval: Option<Duration>,
    /// What may wait if nobody waits for it.
    pub buffer_limit: u64,
    /// So often sending is tried again.
    pub max_retries: u64,
    /// The pause before the first repetition; each further one is half as long again.
    pub retry_wait: Duration,
    /// How long the service may take nothing.
    pub write_timeout: Option<Duration>,
    /// Times to the nanosecond.
    pub sub_second: bool,
    /// Whether the service confirms each message.
    pub request_ack: bool,
}

/// A forward service.
#[derive(Debug)]
pub(super) struct Fluentd {
    settings: Settings,
    connection: Option<(Connection, Instant)>,
    batch: Vec<u8>,
    /// What must be confirmed.
    chunk: String,
}

impl Fluentd {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            connection: None,
            batch: Vec::new(),
            chunk: String::new(),
        }
    }

    pub(super) fn connect(&mut self) -> Result<()> {
        if self.settings.asynchronous {
            return Ok(());
        }
        self.connection = Some(self.open()?);
        Ok(())
    }

    fn open(&self) -> Result<(Connection, Instant)> {
        let connection = Connection::open(&self.settings.endpoint)?;
        // Without limits it waits for longer.
        let _ = connection.limit(self.settings.write_timeout, ACK_PATIENCE);
        Ok((connection, Instant::now()))
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.connection.as_ref().map(|(c, _)| c.as_fd())
    }

    pub(super) fn tell(&mut self, line: &Line<'_>) {
        if self.settings.request_ack {
            self.chunk = random_id()[..32].to_owned();
        }
        encode(&mut self.batch, &self.settings, &self.chunk, line);
        // A confirmation is for one message.
        if self.settings.request_ack || self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// Sends what is there, again and again as the options say.
    pub(super) fn flush(&mut self) {
        let mut wait = self.settings.retry_wait;
        let mut attempt = 0;
        while !self.batch.is_empty() && self.send().is_none() {
            self.connection = None;
            if attempt >= self.settings.max_retries {
                break;
            }
            attempt += 1;
            std::thread::sleep(wait);
            wait = (wait + wait / 2).min(LONGEST_WAIT);
        }
        self.batch.clear();
        self.batch.shrink_to(BATCH);
    }

    fn send(&mut self) -> Option<()> {
        let interval = self.settings.reconnect_interval;
        let open = self.connection.take().filter(|(connection, since)| {
            let old = interval.is_some_and(|interval| since.elapsed() >= interval);
            !old && !connection.has_ended()
        });
        let (mut connection, since) = match open {
            Some(open) => open,
            None => self.open().ok()?,
        };
        connection.send(&self.batch).ok()?;
        if self.settings.request_ack {
            self.await_ack(&mut connection)?;
        }
        self.connection = Some((connection, since));
        Some(())
    }

    fn await_ack(&self, connection: &mut Connection) -> Option<()> {
        let mut answer = Vec::new();
        let mut space = [0u8; 256];
        loop {
            match msgpack::ack(&answer) {
                Ack::Is(id) if id == self.chunk.as_bytes() => return Some(()),
                Ack::Is(_) | Ack::Wrong => return None,
                Ack::Incomplete => {}
            }
            match connection.read(&mut space) {
                Ok(count) if count > 0 => answer.extend_from_slice(&space[..count]),
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

fn encode(out: &mut Vec<u8>, settings: &Settings, chunk: &str, line: &Line<'_>) {
    let record = &line.record;
    msgpack::array(out, 4);
    msgpack::string(out, settings.tag.as_bytes());
    match settings.sub_second {
        true => msgpack::event_time(out, record.time.seconds, record.time.nanoseconds),
        false => msgpack::integer(out, record.time.seconds),
    }
    let part = line.part.as_ref().map(|part| {
        [
            ("partial_message", "true".to_owned()),
            ("partial_id", part.id.clone()),
            ("partial_ordinal", part.ordinal.to_string()),
            ("partial_last", part.last.to_string()),
        ]
    });
    let part = part.as_ref().map_or(&[][..], |part| &part[..]);
    let own = |key: &str| key == "source" || key == "log";
    let fixed = settings.record.iter().filter(|(key, _)| !own(key));
    msgpack::map(out, fixed.clone().count() + 2 + part.len());
    for (key, value) in fixed {
        msgpack::string(out, key.as_bytes());
        msgpack::string(out, value.as_bytes());
    }
    msgpack::string(out, b"source");
    msgpack::string(out, record.stream.name().as_bytes());
    msgpack::string(out, b"log");
    msgpack::string(out, record.text);
    for (key, value) in part {
        msgpack::string(out, key.as_bytes());
        msgpack::string(out, value.as_bytes());
    }
    if chunk.is_empty() {
        msgpack::map(out, 0);
    } else {
        msgpack::map(out, 1);
        msgpack::string(out, b"chunk");
        msgpack::string(out, chunk.as_bytes());
    }
}
