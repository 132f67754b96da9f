//! A process' input and output: its pipes or its terminal, its log if it has
//! one, and the clients that look on. The container's first process has them,
//! and so has each process that is added to it.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gantry_logs::Stream;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;
use rustix::termios::{Winsize, tcsetwinsize};

use super::attached::{Attached, Heard};
use super::input::Input;
use super::log::{Log, LogPart};
use super::stdio::Ours;
use crate::protocol::{AttachRequest, Event, Refusal};

/// Bytes read from the process at once, on the stack. When it writes more than
/// that, more follow, into the heap: most never do.
const CHUNK: usize = 4 << 10;
const MORE: usize = 128 << 10;
/// So often in a turn, so that others are served too.
const TIMES: usize = 8;
/// What a pipe holds for a process that writes much.
const PIPE: usize = 256 << 10;
/// What is thrown away at once.
const THROWN: usize = 1 << 20;
/// How long a terminal that nobody has open is left alone before it is looked
/// at again: an init may close its console and open it later.
const TERMINAL_PAUSE: Duration = Duration::from_millis(50);

/// What can be ready. A number is a place in the list of clients of this turn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Terminal,
    Stdout,
    Stderr,
    Input,
    Client(usize),
    Log(LogPart),
}

/// How a process' input and output are to be treated.
pub(super) struct Manner {
    /// Whether clients may write to its input.
    pub(super) open_stdin: bool,
    /// Whether the input ends when the first client that had it goes.
    pub(super) stdin_once: bool,
    /// Where its output is kept.
    pub(super) log: Option<Log>,
    /// Where output waits for slow clients.
    pub(super) spill: PathBuf,
}

pub(super) struct Streams {
    terminal: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    input: Input,
    clients: Vec<Attached>,
    manner: Manner,
    /// Whether the process has a terminal, open or not.
    has_terminal: bool,
    /// Whether the process is there; if not, nothing waits for anybody.
    alive: bool,
    /// Space for output, while there is much.
    space: Vec<u8>,
    terminal_rests_until: Option<Instant>,
}

impl Streams {
    /// With the clients that are there from the start.
    pub(super) fn new(
        stdio: Ours,
        manner: Manner,
        clients: Vec<(AttachRequest, UnixStream)>,
    ) -> Self {
        let has_terminal = stdio.terminal.is_some();
        let clients = clients.into_iter().map(|(mut request, socket)| {
            request.stdin &= manner.open_stdin;
            Attached::new(request, socket, has_terminal, true)
        });
        Self {
            terminal: stdio.terminal,
            input: Input::new(stdio.stdin),
            stdout: stdio.stdout,
            stderr: stdio.stderr,
            clients: clients.collect(),
            manner,
            has_terminal,
            alive: true,
            space: Vec::new(),
            terminal_rests_until: None,
        }
    }

    /// Connects one more client.
    pub(super) fn attach(&mut self, mut request: AttachRequest, socket: UnixStream) {
        request.stdin &= self.manner.open_stdin;
        let client = Attached::new(request, socket, self.has_terminal, false);
        self.clients.push(client);
    }

    /// What is waited for.
    pub(super) fn interests<'a>(&'a self, mut add: impl FnMut(Part, BorrowedFd<'a>, PollFlags)) {
        let held = self.output_waits();
        if let Some(terminal) = self.terminal.as_ref().filter(|_| !self.terminal_rests()) {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !held);
            flags.set(PollFlags::OUT, self.input.has_pending());
            if !flags.is_empty() {
                add(Part::Terminal, terminal.as_fd(), flags);
            }
        }
        let outputs = [(Part::Stdout, &self.stdout), (Part::Stderr, &self.stderr)];
        for (part, output) in outputs {
            if let Some(fd) = output.as_ref().filter(|_| !held) {
                add(part, fd.as_fd(), PollFlags::IN);
            }
        }
        if let Some(pipe) = &self.input.pipe {
            let flags = match self.input.has_pending() {
                true => PollFlags::OUT,
                false => PollFlags::empty(),
            };
            add(Part::Input, pipe.as_fd(), flags);
        }
        for (at, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, client.input_open && self.input.has_room());
            flags.set(PollFlags::OUT, client.has_pending());
            // One that hung up with input that has no place yet would be
            // reported again and again.
            if !flags.is_empty() || !client.input_open {
                add(Part::Client(at), client.socket.as_fd(), flags);
            }
        }
        if let Some(log) = &self.manner.log {
            log.interests(|part, fd, flags| add(Part::Log(part), fd, flags));
        }
    }

    /// Serves what is ready; what others should know goes to `told`. True:
    /// there was so much that memory was needed for it.
    pub(super) fn serve(&mut self, part: Part, flags: PollFlags, told: &mut Vec<Event>) -> bool {
        let readable = flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        match part {
            Part::Terminal => {
                if flags.contains(PollFlags::OUT) {
                    self.input.flush(self.terminal.as_ref());
                }
                if readable {
                    return self.read_terminal(told);
                }
            }
            Part::Stdout => return self.read_pipe(Stream::Stdout, told),
            Part::Stderr => return self.read_pipe(Stream::Stderr, told),
            Part::Input if flags.contains(PollFlags::ERR) => self.input.discard(),
            Part::Input => self.input.flush(None),
            Part::Log(part) => {
                if let Some(log) = &mut self.manner.log {
                    log.serve(part, flags);
                }
            }
            Part::Client(at) => {
                if flags.contains(PollFlags::OUT) {
                    self.clients[at].flush();
                }
                if readable {
                    self.hear(at, told);
                }
            }
        }
        false
    }

    fn hear(&mut self, at: usize, told: &mut Vec<Event>) {
        let client = &mut self.clients[at];
        if !client.input_open {
            return client.hung_up();
        }
        match client.input(self.input.pending()) {
            Heard::Nothing => {}
            Heard::EndOfInput if self.manner.stdin_once && !self.has_terminal => {
                self.input.close();
            }
            // Docker ends such an attachment: there is nothing left to say.
            Heard::EndOfInput => client.close(),
            Heard::Detached => {
                client.close();
                let attach = client.request.attach;
                told.push(Event::Detached { attach });
            }
        }
        if self.has_terminal && !self.manner.open_stdin {
            self.input.discard();
        }
        self.input.flush(self.terminal.as_ref());
    }

    fn read_pipe(&mut self, stream: Stream, told: &mut Vec<Event>) -> bool {
        let output = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(fd) = output.take() else {
            return false;
        };
        let read = self.read_from(&fd, stream, told);
        let output = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        match read {
            Ok(0) | Err(_) => {
                // A last line without its end is told after what came before it:
                // what the other one holds was written by now.
                let other = match stream {
                    Stream::Stdout => Stream::Stderr,
                    Stream::Stderr => Stream::Stdout,
                };
                self.read_pipe(other, told);
                self.end_log(stream);
            }
            Ok(_) => *output = Some(fd),
        }
        read.is_ok_and(|count| count > CHUNK)
    }

    fn read_terminal(&mut self, told: &mut Vec<Event>) -> bool {
        let Some(fd) = self.terminal.take() else {
            return false;
        };
        match self.read_from(&fd, Stream::Stdout, told) {
            Ok(count) if count > 0 => {
                self.terminal = Some(fd);
                return count > CHUNK;
            }
            // Nobody has the other side open.
            Ok(_) | Err(_) if self.alive => {
                self.terminal = Some(fd);
                self.terminal_rests_until = Some(Instant::now() + TERMINAL_PAUSE);
            }
            Ok(_) | Err(_) => self.end_log(Stream::Stdout),
        }
        false
    }

    /// Reads what is there, within reason, and passes it on. 0: the end.
    fn read_from(
        &mut self,
        fd: &OwnedFd,
        stream: Stream,
        told: &mut Vec<Event>,
    ) -> Result<usize, Errno> {
        if let Some(thrown) = self.throw_away(fd) {
            return Ok(thrown);
        }
        let mut space = [MaybeUninit::uninit(); CHUNK];
        let bytes = match rustix::io::read(fd, &mut space) {
            Ok((bytes, _)) => bytes,
            // Something was there, and somebody else has taken it.
            Err(Errno::AGAIN | Errno::INTR) => return Ok(1),
            Err(errno) => return Err(errno),
        };
        let count = bytes.len();
        if count == 0 {
            return Ok(0);
        }
        self.output(stream, bytes, told);
        if count < CHUNK {
            return Ok(count);
        }
        Ok(count + self.read_more(fd, stream, told))
    }

    /// Reads what else is there; how much that was.
    fn read_more(&mut self, fd: &OwnedFd, stream: Stream, told: &mut Vec<Event>) -> usize {
        let mut space = std::mem::take(&mut self.space);
        if space.capacity() < MORE {
            // A terminal has no such size.
            let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE);
            space.reserve_exact(MORE);
        }
        let mut total = 0;
        for _ in 0..TIMES {
            if self.output_waits() {
                break;
            }
            space.clear();
            // An error, or the end, comes again.
            let more = rustix::io::read(fd, rustix::buffer::spare_capacity(&mut space));
            let more = more.unwrap_or(0);
            if more > 0 {
                self.output(stream, &space, told);
            }
            total += more;
            if more < MORE {
                break;
            }
        }
        self.space = space;
        total
    }

    /// Throws output away that nobody wants, without looking at it; how much that
    /// was. `None` if somebody does, or if it cannot be done.
    fn throw_away(&self, pipe: &OwnedFd) -> Option<usize> {
        let wanted = self.manner.log.as_ref().is_some_and(|log| !log.is_idle());
        if wanted || !self.clients.is_empty() || self.has_terminal {
            return None;
        }
        // Our standard input is `/dev/null`, open both ways.
        let nowhere = rustix::stdio::stdin();
        let flags = SpliceFlags::NONBLOCK;
        let thrown = rustix::pipe::splice(pipe, None, nowhere, None, THROWN, flags);
        // No memory was needed for it.
        thrown.ok().map(|count| count.min(CHUNK))
    }

    /// Gives back memory.
    pub(super) fn rest(&mut self) {
        self.space = Vec::new();
        if let Some(log) = &mut self.manner.log {
            log.rest();
        }
    }

    fn output(&mut self, stream: Stream, bytes: &[u8], told: &mut Vec<Event>) {
        if let Some(log) = &mut self.manner.log
            && let Some(reason) = log.write(stream, bytes)
        {
            told.push(Event::LogFailed { reason });
        }
        for client in &mut self.clients {
            if client.output(stream, bytes, &self.manner.spill) {
                let attach = client.request.attach;
                told.push(Event::Overrun { attach });
            }
        }
    }

    fn end_log(&mut self, stream: Stream) {
        if let Some(log) = &mut self.manner.log {
            log.finish(stream);
        }
    }

    /// The process is gone: no more input, and output up to its end.
    pub(super) fn begin_draining(&mut self) {
        self.alive = false;
        self.terminal_rests_until = None;
        self.input.discard();
        for client in &mut self.clients {
            client.input_open = false;
        }
    }

    /// Whether all output has been read.
    pub(super) fn is_drained(&self) -> bool {
        self.terminal.is_none() && self.stdout.is_none() && self.stderr.is_none()
    }

    /// Whether the log's service has been told everything.
    pub(super) fn log_is_told(&self) -> bool {
        self.manner.log.as_ref().is_none_or(Log::is_told)
    }

    /// How long it may take until then.
    pub(super) fn log_patience(&self) -> Duration {
        self.manner
            .log
            .as_ref()
            .map_or(Duration::ZERO, Log::patience)
    }

    /// Closes the log, which is complete: what was rotated away may still have
    /// to be compressed, and nobody should wait for that but the next start.
    pub(super) fn close_log(&mut self) {
        if let Some(log) = self.manner.log.take() {
            log.close();
        }
    }

    /// No more output, whoever still has its other end open. Clients get what
    /// they have not got yet, and see the end after [`Self::release`].
    pub(super) fn finish(&mut self) {
        self.terminal = None;
        self.stdout = None;
        self.stderr = None;
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.end_log(stream);
        }
        if let Some(log) = &mut self.manner.log {
            log.end();
        }
        for client in &mut self.clients {
            client.flush();
        }
    }

    /// Closes the connections of the clients that have got everything, now or
    /// when they have.
    pub(super) fn release(&mut self) {
        for client in &mut self.clients {
            client.close();
        }
        self.forget_done();
    }

    /// Forgets the clients that are done.
    pub(super) fn forget_done(&mut self) {
        self.clients.retain(|client| !client.is_done());
    }

    /// Gives up clients that have taken nothing for so long.
    pub(super) fn give_up_idle(&mut self, patience: Duration) {
        let now = Instant::now();
        self.clients.retain(|client| {
            !client.has_pending() || now.duration_since(client.progress) <= patience
        });
    }

    pub(super) fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) -> Result<(), Refusal> {
        let terminal = self.terminal.as_ref().ok_or(Refusal::NoTerminal)?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(terminal, size).map_err(|errno| Refusal::failed("resize terminal", errno))
    }

    pub(super) fn close_stdin(&mut self) -> Result<(), Refusal> {
        if self.input.pipe.is_none() {
            return Err(Refusal::NoStdin);
        }
        self.input.close();
        Ok(())
    }

    /// When to look again even if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let terminal = self.terminal_rests_until.filter(|_| self.terminal_rests());
        let held = self.alive.then(|| self.clients.iter());
        let held = held.into_iter().flatten();
        held.filter_map(Attached::holds_until).chain(terminal).min()
    }

    /// Whether what the process writes has to wait for a client or for a service.
    fn output_waits(&self) -> bool {
        let held = || self.clients.iter().any(|c| c.holds_until().is_some());
        let full = || self.manner.log.as_ref().is_some_and(Log::is_full);
        self.alive && (full() || held())
    }

    fn terminal_rests(&self) -> bool {
        self.terminal_rests_until
            .is_some_and(|until| Instant::now() < until)
    }
}
