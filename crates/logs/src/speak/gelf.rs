//! Graylog's extended log format 1.1: a JSON object for each message.
//!
//! ```text
//! udp   the object, compressed; when longer than a packet, in chunks:
//!       0x1e 0x0f │ 8 bytes, the message's │ number │ count │ up to 1408 bytes
//! tcp   the object, then a zero byte
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use flate2::write::{GzEncoder, ZlibEncoder};
use serde::{Deserialize, Serialize};

use super::connection::{Connection, Endpoint};
use super::line::Line;
use crate::Stream;
use crate::error::{Error, Result};
use crate::json;

/// The longest packet.
const PACKET: usize = 1420;
/// What a chunk has before its bytes.
const HEAD: usize = 12;
/// More chunks no service joins.
const MOST_CHUNKS: usize = 128;

/// How messages over UDP are made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// gzip's format.
    Gzip,
    /// zlib's format.
    Zlib,
    /// They are not.
    None,
}

/// One container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the service is.
    pub endpoint: Endpoint,
    /// This machine.
    pub hostname: String,
    /// What messages say of the container; the names begin with `_`.
    pub extra: BTreeMap<String, String>,
    /// How messages over UDP are made smaller…
    pub compression: Compression,
    /// … and with how much effort (0 to 9).
    pub level: u32,
    /// How often a new connection (TCP) is tried for one message.
    pub max_reconnect: u32,
    /// The pause before each attempt.
    pub reconnect_delay: Duration,
}

/// A Graylog service.
#[derive(Debug)]
pub(super) struct Gelf {
    settings: Settings,
    /// What all messages end with.
    tail: Vec<u8>,
    connection: Option<Connection>,
}

impl Gelf {
    pub(super) fn new(settings: Settings) -> Self {
        let mut tail = json::encode_attributes(&settings.extra);
        if let Some(first) = tail.first_mut() {
            *first = b',';
        }
        Self {
            settings,
            tail,
            connection: None,
        }
    }

    pub(super) fn connect(&mut self) -> Result<()> {
        let shown = match &self.settings.endpoint {
            Endpoint::Network { shown, .. } => shown.as_str(),
            _ => "",
        };
        let opened = Connection::open(&self.settings.endpoint).map_err(|error| {
            Error::Unreachable(format!(
                "gelf: cannot connect to GELF endpoint: {shown} {error}"
            ))
        })?;
        self.connection = Some(opened);
        Ok(())
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.connection.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn tell(&mut self, line: &Line<'_>) {
        // As in Docker: there is nothing to be told.
        if line.record.text.is_empty() {
            return;
        }
        let message = self.message(line);
        for attempt in 0..=self.settings.max_reconnect {
            if attempt > 0 {
                self.connection = None;
                std::thread::sleep(self.settings.reconnect_delay);
            }
            if self.send(&message).is_some() {
                return;
            }
        }
    }

    fn send(&mut self, message: &[u8]) -> Option<()> {
        let open = self.connection.take();
        let open = open.filter(|connection| !connection.has_ended());
        let mut connection = match open {
            Some(connection) => connection,
            None => Connection::open(&self.settings.endpoint).ok()?,
        };
        let sent = match connection.is_stream() {
            true => {
                let whole = [message, b"\0"].concat();
                connection.send(&whole).ok()
            }
            // Nobody knows whether a datagram arrives; to send it again when an
            // earlier one was refused helps nobody.
            false => {
                let packed = self.compress(message);
                for packet in packets(&packed) {
                    let _ = connection.send(&packet);
                }
                Some(())
            }
        };
        self.connection = Some(connection);
        sent
    }

    fn message(&self, line: &Line<'_>) -> Vec<u8> {
        let record = &line.record;
        let level = match record.stream {
            Stream::Stdout => 6,
            Stream::Stderr => 3,
        };
        let mut out = Vec::with_capacity(record.text.len() + self.tail.len() + 100);
        out.extend_from_slice(b"{\"version\":\"1.1\",\"host\":\"");
        json::escape(&mut out, self.settings.hostname.as_bytes());
        out.extend_from_slice(b"\",\"short_message\":\"");
        json::escape(&mut out, record.text);
        let millis = record.time.nanoseconds / 1_000_000;
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            "\",\"timestamp\":{}.{millis:03},\"level\":{level}",
            record.time.seconds
        );
        out.extend_from_slice(&self.tail);
        out
    }

    fn compress(&self, message: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::new(self.settings.level.min(9));
        let packed = match self.settings.compression {
            Compression::None => return message.to_owned(),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(message).and_then(|()| encoder.finish())
            }
            Compression::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(message).and_then(|()| encoder.finish())
            }
        };
        // Services tell the forms apart by their first bytes.
        packed.unwrap_or_else(|_| message.to_owned())
    }
}

/// The message as packets; nothing if no service would join them.
fn packets(message: &[u8]) -> Vec<Vec<u8>> {
    if message.len() <= PACKET {
        return vec![message.to_owned()];
    }
    let chunks = message.chunks(PACKET - HEAD);
    let count = chunks.len();
    if count > MOST_CHUNKS {
        return Vec::new();
    }
    let mut id = [0u8; 8];
    let _ = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty());
    let packet = |(number, chunk): (usize, &[u8])| {
        let mut packet = vec![0x1e, 0x0f];
        packet.extend_from_slice(&id);
        packet.extend_from_slice(&[number as u8, count as u8]);
        packet.extend_from_slice(chunk);
        packet
    };
    chunks.enumerate().map(packet).collect()
}
