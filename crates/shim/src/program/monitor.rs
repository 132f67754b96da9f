//! The loop: waits until something can be read or written, or is late, and
//! serves it. Everything is non-blocking; nothing here waits but `poll`.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use gantry_cgroup::OomWatch;
use gantry_logs::{Stream, Writer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::attached::{Attached, Heard};
use super::control::Control;
use super::ending::Phase;
use super::input::Input;
use super::start::{Container, Started};
use crate::protocol::{Event, Message};

/// Bytes read from the container at once; on the stack, touched as needed.
const CHUNK: usize = 16 << 10;
/// How long a terminal that nobody has open is left alone before it is looked
/// at again: an init may close its console and open it later.
const TERMINAL_PAUSE: Duration = Duration::from_millis(50);
/// More connections than any daemon makes.
const MAX_CONTROLS: usize = 256;

/// What became ready. Numbers are places in the lists of this turn.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// The container's first process has ended.
    Process,
    /// Some child has.
    Children,
    Listener,
    Oom,
    Terminal,
    Stdout,
    Stderr,
    Input,
    Attached(usize),
    Control(usize),
}

/// A container and everybody who has to do with it.
pub(super) struct Monitor {
    pub(super) container: Container,
    pub(super) phase: Phase,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) input: Input,
    pub(super) attached: Vec<Attached>,
    pub(super) controls: Vec<Control>,
    pub(super) log: Writer,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    pub(super) open_stdin: bool,
    /// Whether the container has a terminal, open or not.
    pub(super) has_terminal: bool,
    stdin_once: bool,
    terminal_rests_until: Option<Instant>,
    listener: UnixListener,
    children: Option<OwnedFd>,
    pub(super) oom: Option<OomWatch>,
}

impl Monitor {
    pub(super) fn new(started: Started, daemon: UnixStream) -> Self {
        let Started {
            container,
            listener,
            log,
            stdio,
            open_stdin,
            stdin_once,
            attach,
        } = started;
        let has_terminal = stdio.terminal.is_some();
        let attached = attach.into_iter().map(|(mut request, socket)| {
            request.stdin &= open_stdin;
            Attached::new(request, socket, has_terminal, true)
        });
        Self {
            phase: Phase::Running,
            // Without them the container runs all the same.
            oom: container.cgroup.watch_oom().ok().flatten(),
            children: gantry_sys::signal_fd(&[libc::SIGCHLD]).ok(),
            container,
            terminal: stdio.terminal,
            input: Input::new(stdio.stdin),
            attached: attached.collect(),
            controls: vec![Control::new(daemon, true)],
            log,
            stdout: stdio.stdout,
            stderr: stdio.stderr,
            open_stdin,
            has_terminal,
            stdin_once,
            terminal_rests_until: None,
            listener,
        }
    }

    /// Runs until the container is over and everybody knows.
    pub(super) fn run(mut self) {
        // It may have ended before its end could be signalled.
        self.reap();
        while !self.is_finished() {
            for (source, flags) in self.wait() {
                self.serve(source, flags);
            }
            self.attached.retain(|attached| !attached.is_done());
            self.controls.retain(|control| !control.broken);
            self.advance();
        }
    }

    fn wait(&self) -> Vec<(Source, PollFlags)> {
        let (sources, mut fds) = self.interests();
        let timeout = self.next_deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        if let Err(errno) = poll(&mut fds, timeout.as_ref())
            && errno != Errno::INTR
        {
            // Out of kernel memory: try again a little later.
            std::thread::sleep(Duration::from_millis(10));
        }
        let ready = sources.into_iter().zip(fds.iter().map(PollFd::revents));
        ready.filter(|(_, flags)| !flags.is_empty()).collect()
    }

    fn interests(&self) -> (Vec<Source>, Vec<PollFd<'_>>) {
        let mut sources = Vec::with_capacity(8);
        let mut fds = Vec::with_capacity(8);
        let mut add = |source, fd, flags| {
            sources.push(source);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        if let Some(children) = &self.children {
            add(Source::Children, children.as_fd(), PollFlags::IN);
        }
        if self.phase.is_running() {
            add(Source::Process, self.container.pidfd.as_fd(), PollFlags::IN);
        }
        add(Source::Listener, self.listener.as_fd(), PollFlags::IN);
        if let Some(oom) = &self.oom {
            add(Source::Oom, oom.as_fd(), PollFlags::IN);
        }
        let terminal_in = self.open_stdin && self.input.has_pending();
        if let Some(terminal) = self.terminal.as_ref().filter(|_| !self.terminal_rests()) {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !self.output_waits());
            flags.set(PollFlags::OUT, terminal_in);
            if !flags.is_empty() {
                add(Source::Terminal, terminal.as_fd(), flags);
            }
        }
        let outputs = [
            (Source::Stdout, &self.stdout),
            (Source::Stderr, &self.stderr),
        ];
        for (source, output) in outputs {
            if let Some(fd) = output.as_ref().filter(|_| !self.output_waits()) {
                add(source, fd.as_fd(), PollFlags::IN);
            }
        }
        if let Some(pipe) = &self.input.pipe {
            let flags = match self.input.has_pending() {
                true => PollFlags::OUT,
                false => PollFlags::empty(),
            };
            add(Source::Input, pipe.as_fd(), flags);
        }
        for (at, attached) in self.attached.iter().enumerate() {
            let input = attached.input_open && self.input.has_room();
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, input);
            flags.set(PollFlags::OUT, attached.has_pending());
            // One that hung up with input that has no place yet would be
            // reported again and again.
            if !flags.is_empty() || !attached.input_open {
                add(Source::Attached(at), attached.socket.as_fd(), flags);
            }
        }
        for (at, control) in self.controls.iter().enumerate() {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, control.has_pending());
            add(Source::Control(at), control.socket.as_fd(), flags);
        }
        (sources, fds)
    }

    fn serve(&mut self, source: Source, flags: PollFlags) {
        let readable = flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        match source {
            Source::Process => self.reap(),
            Source::Children => {
                if let Some(children) = &self.children {
                    let _ = rustix::io::read(children, &mut [0u8; 128]);
                }
                self.reap();
            }
            Source::Listener => self.accept(),
            Source::Oom => {
                if self.oom.as_mut().is_some_and(OomWatch::take) {
                    self.tell(&Event::OutOfMemory);
                }
            }
            Source::Terminal => {
                if flags.contains(PollFlags::OUT) {
                    self.input.flush(self.terminal.as_ref());
                }
                if readable {
                    self.read_terminal();
                }
            }
            Source::Stdout => self.read_pipe(Stream::Stdout),
            Source::Stderr => self.read_pipe(Stream::Stderr),
            Source::Input if flags.contains(PollFlags::ERR) => self.input.discard(),
            Source::Input => self.input.flush(None),
            Source::Attached(at) => self.serve_attached(at, flags),
            Source::Control(at) => {
                if flags.contains(PollFlags::OUT) {
                    self.controls[at].flush();
                }
                if readable {
                    self.serve_control(at);
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            if self.controls.len() < MAX_CONTROLS {
                self.controls.push(Control::new(socket, false));
            }
        }
    }

    fn serve_attached(&mut self, at: usize, flags: PollFlags) {
        let attached = &mut self.attached[at];
        if flags.contains(PollFlags::OUT) {
            attached.flush();
        }
        if !flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        if !attached.input_open {
            attached.hung_up();
            return;
        }
        let heard = attached.input(self.input.pending());
        let number = attached.request.attach;
        match heard {
            Heard::Nothing => {}
            Heard::EndOfInput if self.stdin_once && !self.has_terminal => self.input.close(),
            // Docker ends such an attachment: there is nothing left to say.
            Heard::EndOfInput => attached.close(),
            Heard::Detached => {
                attached.close();
                self.tell(&Event::Detached { attach: number });
            }
        }
        if self.has_terminal && !self.open_stdin {
            self.input.discard();
        }
        self.input.flush(self.terminal.as_ref());
    }

    fn read_pipe(&mut self, stream: Stream) {
        let output = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(fd) = output else { return };
        let mut space = [MaybeUninit::uninit(); CHUNK];
        match rustix::io::read(&*fd, &mut space) {
            Ok(([], _)) => {
                *output = None;
                // A full disk must not disturb the container.
                let _ = self.log.finish(stream);
            }
            Ok((bytes, _)) => self.output(stream, bytes),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => *output = None,
        }
    }

    fn read_terminal(&mut self) {
        let Some(fd) = &self.terminal else { return };
        let mut space = [MaybeUninit::uninit(); CHUNK];
        match rustix::io::read(fd, &mut space) {
            Ok((bytes, _)) if !bytes.is_empty() => self.output(Stream::Stdout, bytes),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody has the other side open.
            Ok(_) | Err(_) if self.phase.is_running() => {
                self.terminal_rests_until = Some(Instant::now() + TERMINAL_PAUSE);
            }
            Ok(_) | Err(_) => {
                self.terminal = None;
                let _ = self.log.finish(Stream::Stdout);
            }
        }
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        // A full disk must not disturb the container.
        let _ = self.log.write(stream, bytes);
        let mut overrun = Vec::new();
        for attached in &mut self.attached {
            if attached.output(stream, bytes) {
                overrun.push(attached.request.attach);
            }
        }
        for attach in overrun {
            self.tell(&Event::Overrun { attach });
        }
    }

    /// Tells everybody who wants to know.
    pub(super) fn tell(&mut self, event: &Event) {
        for control in self.controls.iter_mut().filter(|c| c.subscribed) {
            control.say(&Message::Event(event.clone()));
        }
    }

    /// Whether what the container writes has to wait for a client.
    fn output_waits(&self) -> bool {
        self.phase.is_running() && self.attached.iter().any(Attached::holds_output)
    }

    fn terminal_rests(&self) -> bool {
        self.phase.is_running()
            && self
                .terminal_rests_until
                .is_some_and(|until| Instant::now() < until)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let terminal = self.terminal_rests_until.filter(|_| self.terminal_rests());
        let phase = self.phase.deadline();
        match (terminal, phase) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
