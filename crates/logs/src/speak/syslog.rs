//! Syslog as RFC 3164 and RFC 5424 have it, and the short form for a service of
//! this machine.
//!
//! ```text
//! local     <PRI>Jan _2 15:04:05 TAG[PID]: text
//! rfc3164   <PRI>Jan _2 15:04:05 HOST TAG[PID]: text
//! rfc5424   <PRI>1 2006-01-02T15:04:05Z HOST TAG PID TAG - text
//! ```

use std::os::fd::{AsFd, BorrowedFd};

use serde::{Deserialize, Serialize};

use super::connection::{Connection, Endpoint};
use super::line::Line;
use crate::Stream;
use crate::error::Result;
use crate::timestamp::Timestamp;

/// So much is sent over a stream at once.
const BATCH: usize = 32 << 10;
const ERROR: u8 = 3;
const INFORMATIONAL: u8 = 6;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As programs write to `/dev/log`.
    Local,
    /// The old form, with the host's name.
    Rfc3164,
    /// The new one.
    Rfc5424 {
        /// Times to the microsecond.
        micro: bool,
    },
}

/// One container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the service is.
    pub endpoint: Endpoint,
    /// The kind of program.
    pub facility: u8,
    /// How messages look.
    pub form: Form,
    /// What they are called.
    pub tag: String,
    /// This machine.
    pub hostname: String,
}

/// A syslog service.
#[derive(Debug)]
pub(super) struct Syslog {
    settings: Settings,
    pid: u32,
    connection: Option<Connection>,
    batch: Vec<u8>,
}

impl Syslog {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            pid: std::process::id(),
            connection: None,
            batch: Vec::new(),
        }
    }

    pub(super) fn connect(&mut self) -> Result<()> {
        self.connection = Some(Connection::open(&self.settings.endpoint)?);
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
        format(&mut self.batch, &self.settings, self.pid, line);
        let connection = self.connection.as_ref();
        let is_stream = connection.is_some_and(Connection::is_stream);
        if !is_stream || self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// Sends what is there; a second time over a new connection. What then
    /// fails is lost, as in Docker.
    pub(super) fn flush(&mut self) {
        if !self.batch.is_empty() {
            let sent = self.send();
            if sent.is_none() {
                self.connection = None;
                let _ = self.send();
            }
        }
        self.batch.clear();
        self.batch.shrink_to(BATCH);
    }

    fn send(&mut self) -> Option<()> {
        let open = self.connection.take();
        let open = open.filter(|connection| !connection.has_ended());
        let mut connection = match open {
            Some(connection) => connection,
            None => Connection::open(&self.settings.endpoint).ok()?,
        };
        let sent = connection.send(&self.batch).ok();
        self.connection = Some(connection);
        sent
    }
}

fn format(out: &mut Vec<u8>, settings: &Settings, pid: u32, line: &Line<'_>) {
    let severity = match line.record.stream {
        Stream::Stdout => INFORMATIONAL,
        Stream::Stderr => ERROR,
    };
    let priority = settings.facility << 3 | severity;
    let Settings { hostname, tag, .. } = settings;
    let offset = gantry_sys::utc_offset(line.record.time.seconds);
    let time = line.record.time;
    let head = match settings.form {
        Form::Local => format!("<{priority}>{} {tag}[{pid}]: ", stamp(time, offset)),
        Form::Rfc3164 => {
            format!(
                "<{priority}>{} {hostname} {tag}[{pid}]: ",
                stamp(time, offset)
            )
        }
        Form::Rfc5424 { micro } => format!(
            "<{priority}>1 {} {hostname} {tag} {pid} {tag} - ",
            date(time, offset, micro)
        ),
    };
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(line.record.text);
    out.push(b'\n');
}

/// `Jan _2 15:04:05`, local time.
fn stamp(time: Timestamp, offset: i64) -> String {
    let text = shifted(time, offset).rfc3339_fixed();
    let month: usize = text[5..7].parse().unwrap_or(1);
    let day: u8 = text[8..10].parse().unwrap_or(1);
    format!("{} {day:2} {}", MONTHS[(month - 1) % 12], &text[11..19])
}

/// RFC 3339, local time with its offset.
fn date(time: Timestamp, offset: i64, micro: bool) -> String {
    let text = shifted(time, offset).rfc3339_fixed();
    let digits = if micro { 26 } else { 19 };
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    match offset {
        0 => format!("{}Z", &text[..digits]),
        _ => format!(
            "{}{sign}{:02}:{:02}",
            &text[..digits],
            minutes / 60,
            minutes % 60
        ),
    }
}

fn shifted(time: Timestamp, offset: i64) -> Timestamp {
    Timestamp {
        seconds: time.seconds.saturating_add(offset),
        ..time
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Lines;
    use super::*;
    use crate::local::Record;

    fn formatted(form: Form) -> String {
        let settings = Settings {
            endpoint: Endpoint::LocalSyslog,
            facility: 3,
            form,
            tag: "tag".to_owned(),
            hostname: "host".to_owned(),
        };
        let record = Record {
            stream: Stream::Stderr,
            ends_line: true,
            time: Timestamp {
                seconds: 1_136_214_245,
                nanoseconds: 120_000_000,
            },
            text: b"a\tb",
        };
        let mut out = Vec::new();
        format(&mut out, &settings, 7, &Lines::default().next(record));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages_have_three_forms() {
        if gantry_sys::utc_offset(1_136_214_245) != 0 {
            return;
        }
        assert_eq!(formatted(Form::Local), "<27>Jan  2 15:04:05 tag[7]: a\tb\n");
        assert_eq!(
            formatted(Form::Rfc3164),
            "<27>Jan  2 15:04:05 host tag[7]: a\tb\n"
        );
        assert_eq!(
            formatted(Form::Rfc5424 { micro: false }),
            "<27>1 2006-01-02T15:04:05Z host tag 7 tag - a\tb\n"
        );
        assert_eq!(
            formatted(Form::Rfc5424 { micro: true }),
            "<27>1 2006-01-02T15:04:05.120000Z host tag 7 tag - a\tb\n"
        );
    }

    #[test]
    fn times_have_their_offset() {
        let time = Timestamp {
            seconds: 1_136_214_245,
            nanoseconds: 0,
        };
        assert_eq!(date(time, 5400, false), "2006-01-02T16:34:05+01:30");
        assert_eq!(date(time, -3600, false), "2006-01-02T14:04:05-01:00");
        assert_eq!(stamp(time, 86400), "Jan  3 15:04:05");
    }
}
