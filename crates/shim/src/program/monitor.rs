//! The loop: waits until something can be read or written, or is late, and
//! serves it. Everything is non-blocking; nothing here waits but `poll`.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use gantry_cgroup::OomWatch;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::control::Control;
use super::ending::Phase;
use super::exec::{Answer, ExecPart, Execs};
use super::start::{Container, Started};
use super::streams::{Part, Streams};
use crate::protocol::{Event, Message};

/// How long after something big memory is given back. Most containers that are
/// over quickly are over by then.
const REST_AFTER: Duration = Duration::from_secs(1);
/// More connections than any daemon makes.
const MAX_CONTROLS: usize = 256;

/// What became ready. Numbers are places in the lists of this turn.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// Some child has ended.
    Children,
    /// The container's first process has: the next best to know.
    Process,
    Listener,
    Oom,
    Stream(Part),
    Exec(usize, ExecPart),
    Control(usize),
}

/// A container and everybody who has to do with it.
pub(super) struct Monitor {
    pub(super) container: Container,
    pub(super) phase: Phase,
    pub(super) streams: Streams,
    pub(super) execs: Execs,
    pub(super) controls: Vec<Control>,
    last_control: u64,
    rest_at: Option<Instant>,
    listener: UnixListener,
    children: Option<OwnedFd>,
    pub(super) oom: Option<OomWatch>,
}

impl Monitor {
    pub(super) fn new(started: Started, daemon: UnixStream) -> Self {
        let Started {
            container,
            listener,
            streams,
        } = started;
        Self {
            phase: Phase::Running,
            // Without them the container runs all the same.
            oom: container.cgroup.watch_oom().ok().flatten(),
            children: gantry_sys::signal_fd(&[libc::SIGCHLD]).ok(),
            container,
            streams,
            execs: Execs::default(),
            controls: vec![Control::new(daemon, 0, true)],
            last_control: 0,
            rest_at: Some(Instant::now() + REST_AFTER),
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
            self.streams.forget_done();
            self.controls.retain(|control| !control.broken);
            self.advance();
            if self.rest_at.is_some_and(|at| Instant::now() >= at) {
                self.rest_at = None;
                self.streams.rest();
                self.execs.rest();
                super::setup::rest();
            }
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
        match &self.children {
            Some(children) => add(Source::Children, children.as_fd(), PollFlags::IN),
            None if self.phase.is_running() => {
                add(Source::Process, self.container.pidfd.as_fd(), PollFlags::IN);
            }
            None => {}
        }
        add(Source::Listener, self.listener.as_fd(), PollFlags::IN);
        if let Some(oom) = &self.oom {
            add(Source::Oom, oom.as_fd(), PollFlags::IN);
        }
        self.streams
            .interests(|part, fd, flags| add(Source::Stream(part), fd, flags));
        self.execs
            .interests(|at, part, fd, flags| add(Source::Exec(at, part), fd, flags));
        for (at, control) in self.controls.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !control.awaits_start);
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
            Source::Stream(part) => {
                let mut told = Vec::new();
                if self.streams.serve(part, flags, &mut told) {
                    self.rest_later();
                }
                self.tell_all(told);
            }
            Source::Exec(at, part) => {
                self.rest_later();
                let mut told = Vec::new();
                let container = &self.container;
                let answer = self.execs.serve(at, part, flags, container, &mut told);
                self.tell_all(told);
                if let Some(answer) = answer {
                    self.answer_start(answer);
                }
            }
            Source::Control(at) => {
                if flags.contains(PollFlags::OUT) {
                    self.controls[at].flush();
                }
                if readable {
                    self.rest_later();
                    self.serve_control(at);
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            if self.controls.len() < MAX_CONTROLS {
                self.last_control += 1;
                let control = Control::new(socket, self.last_control, false);
                self.controls.push(control);
            }
        }
    }

    /// Tells everybody who wants to know.
    pub(super) fn tell(&mut self, event: &Event) {
        for control in self.controls.iter_mut().filter(|c| c.subscribed) {
            control.say(&Message::Event(event.clone()));
        }
    }

    pub(super) fn tell_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.tell(&event);
        }
    }

    /// Answers whoever waits for an added process, if it is still there.
    pub(super) fn answer_start(&mut self, (number, reply): Answer) {
        let mut controls = self.controls.iter_mut();
        if let Some(control) = controls.find(|control| control.number == number) {
            control.awaits_start = false;
            control.say(&Message::Reply(reply));
        }
    }

    /// Something was done that needed memory.
    pub(super) fn rest_later(&mut self) {
        self.rest_at
            .get_or_insert_with(|| Instant::now() + REST_AFTER);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let all = [
            self.streams.deadline(),
            self.execs.deadline(),
            self.phase.deadline(),
            self.rest_at,
        ];
        all.into_iter().flatten().min()
    }
}
