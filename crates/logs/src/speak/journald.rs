//! The journal's native protocol: a datagram of fields for each entry, or, when
//! it is too large for one, a sealed memory file.
//!
//! ```text
//! KEY=value\n                          a value of one line
//! KEY\n u64 length, little-endian value\n   any other
//! ```

use std::io;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde::{Deserialize, Serialize};

use super::line::{Line, random_id};
use crate::Stream;
use crate::error::{Error, Result};

/// Where it listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// One container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the journal listens.
    pub socket: PathBuf,
    /// Fields that every entry has.
    pub fields: Vec<(String, String)>,
}

/// The name of a label or variable as a field: capitals, digits and underscores
/// that do not come first.
pub(crate) fn field_name(name: &str) -> String {
    let capitals = name.chars().map(|c| match c.to_ascii_uppercase() {
        c @ ('A'..='Z' | '0'..='9') => c,
        _ => '_',
    });
    let name: String = capitals.collect();
    name.trim_start_matches('_').to_owned()
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    settings: Settings,
    socket: Option<UnixDatagram>,
    /// Which run of the container it is.
    epoch: String,
    /// How many entries it has made.
    ordinal: u64,
    entry: Vec<u8>,
}

impl Journal {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            socket: None,
            epoch: random_id(),
            ordinal: 0,
            entry: Vec::new(),
        }
    }

    pub(super) fn connect(&mut self) -> Result<()> {
        self.socket =
            Some(self.open().map_err(|_| {
                Error::Unreachable("journald is not enabled on this host".to_owned())
            })?);
        Ok(())
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    fn open(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.settings.socket)?;
        Ok(socket)
    }

    /// Sends an entry; a second time when the journal was restarted meanwhile.
    pub(super) fn tell(&mut self, line: &Line<'_>) {
        self.ordinal += 1;
        self.compose(line);
        if self.send().is_err() {
            self.socket = None;
            let _ = self.send();
        }
        self.entry.clear();
    }

    fn send(&mut self) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.open()?,
        };
        let sent = match socket.send(&self.entry) {
            Err(error) if is_too_large(&error) => send_file(&socket, &self.entry),
            other => other.map(drop),
        };
        self.socket = Some(socket);
        sent
    }

    fn compose(&mut self, line: &Line<'_>) {
        let entry = &mut self.entry;
        let priority: &[u8] = match line.record.stream {
            Stream::Stdout => b"6",
            Stream::Stderr => b"3",
        };
        field(entry, "PRIORITY", priority);
        field(entry, "MESSAGE", line.record.text);
        for (key, value) in &self.settings.fields {
            field(entry, key, value.as_bytes());
        }
        let time = line.record.time.rfc3339_nano();
        field(entry, "SYSLOG_TIMESTAMP", time.as_bytes());
        if let Some(part) = &line.part {
            let (ordinal, last) = (part.ordinal.to_string(), part.last.to_string());
            field(entry, "CONTAINER_PARTIAL_ID", part.id.as_bytes());
            field(entry, "CONTAINER_PARTIAL_ORDINAL", ordinal.as_bytes());
            field(entry, "CONTAINER_PARTIAL_LAST", last.as_bytes());
            if !part.last {
                field(entry, "CONTAINER_PARTIAL_MESSAGE", b"true");
            }
        }
        field(entry, "CONTAINER_LOG_EPOCH", self.epoch.as_bytes());
        let ordinal = self.ordinal.to_string();
        field(entry, "CONTAINER_LOG_ORDINAL", ordinal.as_bytes());
    }
}

fn field(entry: &mut Vec<u8>, key: &str, value: &[u8]) {
    entry.extend_from_slice(key.as_bytes());
    if value.contains(&b'\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value);
    entry.push(b'\n');
}

fn is_too_large(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(code) if code == rustix::io::Errno::MSGSIZE.raw_os_error()
            || code == rustix::io::Errno::NOBUFS.raw_os_error()
    )
}

/// Passes the entry as a file that nobody can change any more.
fn send_file(socket: &UnixDatagram, entry: &[u8]) -> io::Result<()> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = std::fs::File::from(rustix::fs::memfd_create("journal-entry", flags)?);
    file.write_all(entry)?;
    let file = OwnedFd::from(file);
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [file.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let nothing = [IoSlice::new(&[])];
    rustix::net::sendmsg(socket, &nothing, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields() {
        for (name, field) in [
            ("a.b-c", "A_B_C"),
            ("_x1", "X1"),
            ("__", ""),
            ("é", ""),
            ("com.example", "COM_EXAMPLE"),
        ] {
            assert_eq!(field_name(name), field);
        }
    }

    #[test]
    fn values_with_line_feeds_have_lengths() {
        let mut entry = Vec::new();
        field(&mut entry, "A", b"x");
        field(&mut entry, "B", b"1\n2");
        assert_eq!(entry, b"A=x\nB\n\x03\0\0\0\0\0\0\x001\n2\n");
    }
}
