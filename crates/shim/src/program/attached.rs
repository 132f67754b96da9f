//! One attached client: output goes to it, input comes from it.
//!
//! Nothing waits for a slow client: what it does not take is kept, the first of
//! it in memory and the rest in a file without a name. Only when that is full
//! too, the process waits for a client that was there from its start (it asked
//! for the output, all of it), as long as that client takes anything at all.
//! Another one, or one that has stopped for good, is cut off, with a frame that
//! says so.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use gantry_logs::Stream;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::detach_keys::DetachKeys;
use super::spill::Spill;
use crate::protocol::AttachRequest;

/// The most that is kept in memory, unless there can be no file.
const MEMORY: usize = 64 << 10;
/// The most that is kept in memory if there can be none.
const MEMORY_ALONE: usize = 1 << 20;
/// A client that has taken nothing for so long has stopped for good.
const STALLED: Duration = Duration::from_secs(60);
const CHUNK: usize = 4 << 10;

const HEADER: usize = 8;
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

/// What comes after the bytes in memory.
#[derive(Debug)]
enum Later {
    Nothing,
    File(Spill),
    /// A file could not be made: all there is must be in memory.
    Impossible,
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
    later: Later,
    /// No more comes after what is pending.
    closing: bool,
    broken: bool,
    /// When the client last took something, or had nothing to take.
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
            later: Later::Nothing,
            closing: false,
            broken,
            progress: Instant::now(),
        }
    }

    /// Whether it can be forgotten, which closes its socket.
    pub(super) fn is_done(&self) -> bool {
        self.broken || (self.closing && !self.has_pending())
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Until when the process' output should wait, if it should.
    pub(super) fn holds_until(&self) -> Option<Instant> {
        let holds = self.sets_pace && !self.closing && self.is_full();
        let until = holds.then(|| self.progress + STALLED);
        until.filter(|until| Instant::now() < *until)
    }

    fn is_full(&self) -> bool {
        match &self.later {
            Later::Nothing => false,
            Later::File(spill) => spill.is_full(),
            Later::Impossible => self.pending.len() >= MEMORY_ALONE,
        }
    }

    /// Passes output on; `spill` is a directory for what is not taken. True: it
    /// was too much, and the client is being cut off.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8], spill: &Path) -> bool {
        let (wanted, kind) = match stream {
            Stream::Stdout => (self.request.stdout, 1),
            Stream::Stderr => (self.request.stderr, 2),
        };
        if !wanted || self.closing || self.broken {
            return false;
        }
        let header = header(kind, bytes.len());
        let header = if self.framed { &header[..] } else { &[] };
        if !self.has_pending() {
            self.progress = Instant::now();
            // The common case: nothing waits, and all of it is taken at once.
            let sent = self.send(header, bytes);
            let of_header = sent.min(header.len());
            self.pending.extend_from_slice(&header[of_header..]);
            self.pending.extend_from_slice(&bytes[sent - of_header..]);
            return false;
        }
        if self.keep(header, bytes, spill) {
            return false;
        }
        if self.framed {
            self.append_frame(SYSTEM_ERROR, OVERRUN);
        }
        self.close();
        true
    }

    /// Keeps output for later. False: there is no room.
    fn keep(&mut self, header: &[u8], bytes: &[u8], spill: &Path) -> bool {
        let length = header.len() + bytes.len();
        if matches!(self.later, Later::Nothing) && self.pending.len() + length > MEMORY {
            self.later = Spill::make(spill).map_or(Later::Impossible, Later::File);
        }
        let kept = self.pending.len() + length;
        let fits = match &mut self.later {
            Later::File(spill) if spill.is_empty() && kept <= MEMORY => true,
            Later::File(spill) => return spill.push(header, bytes),
            Later::Nothing => true,
            // What has been read already must go somewhere.
            Later::Impossible => kept <= MEMORY_ALONE + MEMORY,
        };
        if fits {
            self.pending.extend_from_slice(header);
            self.pending.extend_from_slice(bytes);
        }
        fits
    }

    fn append_frame(&mut self, kind: u8, bytes: &[u8]) {
        let header = header(kind, bytes.len());
        match &mut self.later {
            Later::File(spill) => spill.push_last(&header, bytes),
            Later::Nothing | Later::Impossible => {
                self.pending.extend_from_slice(&header);
                self.pending.extend_from_slice(bytes);
            }
        }
    }

    /// Sends what is pending, and fetches what comes next.
    pub(super) fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let sent = self.send(&pending, &[]);
        self.pending = pending;
        if sent < self.pending.len() {
            self.pending.drain(..sent);
            return;
        }
        self.pending.clear();
        if let Later::File(spill) = &mut self.later
            && spill.pull(&mut self.pending, MEMORY).is_err()
        {
            // What cannot be read any more is lost; the client must not go on
            // as if it had all.
            self.broken = true;
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
            let later = std::mem::replace(&mut self.later, Later::Nothing);
            if let Later::File(spill) = later
                && let Some(spill) = spill.kept()
            {
                self.later = Later::File(spill);
            }
        }
    }

    fn send(&mut self, first: &[u8], second: &[u8]) -> usize {
        let mut sent = 0;
        while sent < first.len() + second.len() && !self.broken {
            let of_first = sent.min(first.len());
            let parts = [
                IoSlice::new(&first[of_first..]),
                IoSlice::new(&second[sent - of_first..]),
            ];
            let mut control = SendAncillaryBuffer::default();
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.socket, &parts, &mut control, flags) {
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

/// Docker's header of a frame.
fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let mut header = [kind, 0, 0, 0, 0, 0, 0, 0];
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    header[4..].copy_from_slice(&length.to_be_bytes());
    header
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

    fn nowhere() -> &'static Path {
        Path::new("/nonexistent")
    }

    /// Reads all that a client still gets, in another thread.
    fn drain(mut attached: Attached, mut peer: UnixStream) -> Vec<u8> {
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            peer.read_to_end(&mut text).unwrap();
            text
        });
        while !attached.is_done() {
            attached.flush();
        }
        drop(attached);
        reading.join().unwrap()
    }

    #[test]
    fn output_is_framed_unless_it_is_a_terminal() {
        let (mut attached, mut peer) = client(false, true);
        attached.output(Stream::Stderr, b"hi", nowhere());
        attached.close();
        assert!(attached.is_done());
        drop(attached);
        let mut text = Vec::new();
        peer.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"\x02\0\0\0\0\0\0\x02hi");

        let (mut attached, mut peer) = client(true, true);
        attached.output(Stream::Stdout, b"hi", nowhere());
        drop(attached);
        text.clear();
        peer.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"hi");
    }

    #[test]
    fn what_is_not_taken_waits_in_a_file_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut attached, peer) = client(true, false);
        let mut wanted = Vec::new();
        for number in 0..300u32 {
            let block: Vec<u8> = number.to_le_bytes().repeat(4096);
            assert!(!attached.output(Stream::Stdout, &block, dir.path()));
            wanted.extend(block);
        }
        assert!(attached.pending.len() <= MEMORY);
        assert!(matches!(attached.later, Later::File(_)));
        attached.close();
        assert!(drain(attached, peer) == wanted);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn slow_clients_are_cut_off_with_a_word() {
        for (room, dir) in [
            (MEMORY_ALONE, None),
            (
                super::super::spill::LIMIT as usize,
                Some(tempfile::tempdir().unwrap()),
            ),
        ] {
            let (mut attached, peer) = client(false, false);
            let block = [b'x'; 32 << 10];
            let mut blocks = 0;
            let path = dir.as_ref().map_or(nowhere(), |dir| dir.path());
            while !attached.output(Stream::Stdout, &block, path) {
                blocks += 1;
            }
            let kept = blocks * (block.len() + HEADER);
            assert!(kept > room && kept < room + (6 << 20), "{kept}");
            assert_eq!(attached.holds_until(), None);
            let text = drain(attached, peer);
            assert_eq!(text.len(), kept + HEADER + OVERRUN.len());
            assert!(text.ends_with(OVERRUN));
        }
    }

    #[test]
    fn those_from_the_start_are_waited_for_when_everything_is_full() {
        let (mut attached, peer) = client(false, true);
        let block = [b'x'; 32 << 10];
        while attached.holds_until().is_none() {
            assert!(!attached.output(Stream::Stdout, &block, nowhere()));
        }
        assert!(!attached.is_done());
        // Not for ever.
        attached.progress -= STALLED;
        assert_eq!(attached.holds_until(), None);
        while !attached.output(Stream::Stdout, &block, nowhere()) {}
        assert!(drain(attached, peer).ends_with(OVERRUN));
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
