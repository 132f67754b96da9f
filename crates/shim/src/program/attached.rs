//! One attached client: output goes to it, input comes from it.
//!
//! The container never waits for a client that came later: what it does not
//! take is kept, and when too much is kept the client is cut off, with a frame
//! that says so. A client that was there from the start (`docker run`) sets the
//! pace instead: it asked for the output, all of it.

use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use gantry_logs::Stream;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::detach_keys::DetachKeys;
use crate::protocol::AttachRequest;

/// The most that is kept for a slow client.
const LIMIT: usize = 1 << 20;
/// Beyond this the container's output waits for a client that sets the pace.
const PACE: usize = 256 << 10;
const CHUNK: usize = 4 << 10;

const SYSTEM_ERROR: u8 = 3;
const OVERRUN: &[u8] = b"output came faster than it was read: detached\n";

/// What a client did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing new, or input that was passed on.
    Nothing,
    /// Its input has ended.
    EndOfInput,
    /// It typed its detach keys.
    Detached,
}

#[derive(Debug)]
pub(super) struct Attached {
    pub(super) request: AttachRequest,
    pub(super) socket: UnixStream,
    keys: DetachKeys,
    /// Whether Docker's frame headers are written.
    framed: bool,
    sets_pace: bool,
    pub(super) input_open: bool,
    pending: Vec<u8>,
    /// No more comes after what is pending.
    closing: bool,
    broken: bool,
    /// When the client last took something.
    pub(super) progress: Instant,
}

impl Attached {
    pub(super) fn new(
        request: AttachRequest,
        socket: UnixStream,
        terminal: bool,
        sets_pace: bool,
    ) -> Self {
        let keys = if terminal {
            request.detach_keys.clone()
        } else {
            Vec::new()
        };
        // A socket that cannot be made non-blocking is no socket.
        let broken = socket.set_nonblocking(true).is_err();
        Self {
            keys: DetachKeys::new(keys),
            framed: !terminal,
            sets_pace,
            input_open: request.stdin,
            request,
            socket,
            pending: Vec::new(),
            closing: false,
            broken,
            progress: Instant::now(),
        }
    }

    /// Whether it can be forgotten, which closes its socket.
    pub(super) fn is_done(&self) -> bool {
        self.broken || (self.closing && self.pending.is_empty())
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the container's output should wait.
    pub(super) fn holds_output(&self) -> bool {
        self.sets_pace && !self.closing && self.pending.len() >= PACE
    }

    /// Passes output on. True: it was too much, and the client is being cut off.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let (wanted, kind) = match stream {
            Stream::Stdout => (self.request.stdout, 1),
            Stream::Stderr => (self.request.stderr, 2),
        };
        if !wanted || self.closing || self.broken {
            return false;
        }
        if !self.sets_pace && self.pending.len() + bytes.len() > LIMIT {
            if self.framed {
                self.append_frame(SYSTEM_ERROR, OVERRUN);
            }
            self.close();
            return true;
        }
        if self.framed {
            self.append_frame(kind, bytes);
        } else if self.pending.is_empty() {
            // The common case: nothing waits, and all of it is taken at once.
            let sent = self.send(bytes);
            self.pending.extend_from_slice(&bytes[sent..]);
        } else {
            self.pending.extend_from_slice(bytes);
        }
        self.flush();
        false
    }

    fn append_frame(&mut self, kind: u8, bytes: &[u8]) {
        self.pending.extend_from_slice(&[kind, 0, 0, 0]);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(bytes);
    }

    pub(super) fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let sent = self.send(&pending);
        self.pending = pending;
        if sent == self.pending.len() {
            self.pending = Vec::new();
        } else {
            self.pending.drain(..sent);
        }
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() && !self.broken {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match send(&self.socket, &bytes[sent..], flags) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.broken = true,
            }
        }
        if sent > 0 {
            self.progress = Instant::now();
        }
        sent
    }

    /// Reads input into `into`.
    pub(super) fn input(&mut self, into: &mut Vec<u8>) -> Heard {
        let mut space = [MaybeUninit::uninit(); CHUNK];
        match rustix::io::read(&self.socket, &mut space) {
            Ok(([], _)) => {
                self.input_open = false;
                Heard::EndOfInput
            }
            Ok((bytes, _)) => match self.keys.filter(bytes, into) {
                true => Heard::Detached,
                false => Heard::Nothing,
            },
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(_) => {
                self.input_open = false;
                self.broken = true;
                Heard::EndOfInput
            }
        }
    }

    /// The peer has closed both directions.
    pub(super) fn hung_up(&mut self) {
        self.broken = true;
    }

    /// No more output comes; what is pending is still sent.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.input_open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn client(terminal: bool, sets_pace: bool) -> (Attached, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let request = AttachRequest {
            attach: 1,
            stdin: true,
            stdout: true,
            stderr: true,
            detach_keys: vec![16],
        };
        (Attached::new(request, theirs, terminal, sets_pace), ours)
    }

    #[test]
    fn output_is_framed_unless_it_is_a_terminal() {
        let (mut attached, mut peer) = client(false, true);
        attached.output(Stream::Stderr, b"hi");
        attached.close();
        assert!(attached.is_done());
        drop(attached);
        let mut text = Vec::new();
        peer.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"\x02\0\0\0\0\0\0\x02hi");

        let (mut attached, mut peer) = client(true, true);
        attached.output(Stream::Stdout, b"hi");
        drop(attached);
        text.clear();
        peer.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"hi");
    }

    #[test]
    fn slow_clients_are_cut_off_with_a_word() {
        let (mut attached, mut peer) = client(false, false);
        let block = [b'x'; 32 << 10];
        let mut blocks = 0;
        while !attached.output(Stream::Stdout, &block) {
            blocks += 1;
            assert!(blocks < 1000);
        }
        assert!(attached.pending.len() <= LIMIT + 100);
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            peer.read_to_end(&mut text).unwrap();
            text
        });
        while !attached.is_done() {
            attached.flush();
        }
        drop(attached);
        let text = reading.join().unwrap();
        assert_eq!(text.len(), blocks * (block.len() + 8) + 8 + OVERRUN.len());
        assert!(text.ends_with(OVERRUN));
    }

    #[test]
    fn those_from_the_start_set_the_pace() {
        let (mut attached, _peer) = client(false, true);
        let block = [b'x'; 32 << 10];
        while !attached.holds_output() {
            assert!(!attached.output(Stream::Stdout, &block));
        }
        assert!(!attached.is_done());
    }

    #[test]
    fn detach_keys_count_on_terminals_only() {
        for (terminal, heard) in [(true, Heard::Detached), (false, Heard::Nothing)] {
            let (mut attached, mut peer) = client(terminal, true);
            peer.write_all(b"a\x10").unwrap();
            let mut typed = Vec::new();
            assert_eq!(attached.input(&mut typed), heard);
            assert_eq!(typed[0], b'a');
        }
    }
}
