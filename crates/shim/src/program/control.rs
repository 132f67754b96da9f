//! One client that asks: a connection to the shim's socket, or the daemon that
//! started the shim.

use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use crate::protocol::{Frame, FrameReader, Message};

/// A client that does not read its answers is dropped beyond this.
const LIMIT: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Control {
    pub(super) socket: UnixStream,
    /// Its own for as long as the shim lives.
    pub(super) number: u64,
    reader: FrameReader,
    pending: Vec<u8>,
    pub(super) subscribed: bool,
    /// Whether an `Acknowledge` is answered when the container is over.
    pub(super) awaits_end: bool,
    /// Whether it has acknowledged the end, and clients are to see it only when
    /// this connection goes.
    pub(super) holds_end: bool,
    /// Whether an `Exec` is answered when its program runs. Nothing more is
    /// read until then, since answers come in the order of requests.
    pub(super) awaits_start: bool,
    pub(super) broken: bool,
}

impl Control {
    pub(super) fn new(socket: UnixStream, number: u64, subscribed: bool) -> Self {
        let broken = socket.set_nonblocking(true).is_err();
        Self {
            socket,
            number,
            reader: FrameReader::default(),
            pending: Vec::new(),
            subscribed,
            awaits_end: false,
            holds_end: false,
            awaits_start: false,
            broken,
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next whole message, if there is one.
    pub(super) fn receive(&mut self) -> Option<Frame> {
        match self.reader.read(&self.socket) {
            Ok(frame) => frame,
            Err(_) => {
                self.broken = true;
                None
            }
        }
    }

    pub(super) fn say(&mut self, message: &Message) {
        match crate::protocol::encode(message, &[]) {
            Ok(bytes) if self.pending.len() + bytes.len() <= LIMIT => {
                self.pending.extend(bytes);
                self.flush();
            }
            _ => self.broken = true,
        }
    }

    pub(super) fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.pending.len() && !self.broken {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match send(&self.socket, &self.pending[sent..], flags) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.broken = true,
            }
        }
        self.pending.drain(..sent);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
    }
}
