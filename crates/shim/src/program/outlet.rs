//! The way to the process that tells a service what the container writes.
//!
//! ```text
//! shim ── what waits ──▶ pipe ──▶ speaker (this program, forked) ──▶ service
//! ```
//!
//! A process and not a thread: whoever makes containers' processes must have one
//! thread only. It ends with the pipe, so also with a killed shim, and is begun
//! again when somebody kills it.
#![allow(unsafe_code, reason = "fork, and closing all descriptors after it")]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use gantry_logs::Settings;
use gantry_logs::speak::{self, Service, Speaker};
use gantry_sys::{CloneRequest, Forked};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::log::LogPart;

/// So much is read by the speaker at once.
const CHUNK: usize = 64 << 10;
/// More than this is not kept for the next time.
const KEPT: usize = 64 << 10;
/// One that ends sooner than this is not begun again.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
/// A speaker that heard nothing for so long needs little memory.
const QUIET: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

#[derive(Debug)]
pub(super) struct Outlet {
    settings: Settings,
    /// Closed when everything is in it, and when nobody listens.
    pipe: Option<OwnedFd>,
    process: OwnedFd,
    begun: Instant,
    /// Records that the pipe has not taken; those before `sent` it has.
    waiting: Vec<u8>,
    sent: usize,
    /// What may wait before more is dropped; `None`: the container waits.
    limit: Option<usize>,
    ended: bool,
    over: bool,
}

impl Outlet {
    /// Begins a speaker.
    pub(super) fn begin(settings: &Settings, speaker: Speaker) -> gantry_logs::Result<Self> {
        let (pipe, process) = fork(speaker).map_err(|errno| gantry_logs::Error::Io {
            operation: "start a process for",
            path: settings.path.clone(),
            source: errno.into(),
        })?;
        let buffer = settings.speaking.as_ref().and_then(|s| s.buffer);
        Ok(Self {
            settings: settings.clone(),
            pipe: Some(pipe),
            process,
            begun: Instant::now(),
            waiting: Vec::new(),
            sent: 0,
            limit: buffer.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            ended: false,
            over: false,
        })
    }

    /// Who is told.
    pub(super) fn service(&self) -> Option<&Service> {
        self.settings.speaking.as_ref().map(|speaking| &speaking.to)
    }

    /// Takes records. What does not fit is dropped, as Docker drops it: the
    /// newest, and never the only one.
    pub(super) fn push(&mut self, records: &[u8]) {
        if self.pipe.is_none() {
            return;
        }
        self.forget_sent();
        match self.limit {
            None => self.waiting.extend_from_slice(records),
            Some(limit) => {
                let mut rest = records;
                while let Some(length) = speak::record_length(rest) {
                    let (record, after) = rest.split_at(length);
                    let waiting = self.waiting.len() - self.sent;
                    if waiting == 0 || waiting + length <= limit {
                        self.waiting.extend_from_slice(record);
                    }
                    // What the pipe takes makes room for the next.
                    if self.waiting.len() - self.sent > CHUNK {
                        self.flush();
                    }
                    rest = after;
                }
            }
        }
        self.flush();
    }

    /// Whether the container should wait.
    pub(super) fn is_full(&self) -> bool {
        self.limit.is_none() && self.has_waiting()
    }

    fn has_waiting(&self) -> bool {
        self.sent < self.waiting.len()
    }

    pub(super) fn interests<'a>(&'a self, mut add: impl FnMut(LogPart, BorrowedFd<'a>, PollFlags)) {
        if let Some(pipe) = &self.pipe {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::OUT, self.has_waiting());
            add(LogPart::Way, pipe.as_fd(), flags);
        } else if !self.over {
            add(LogPart::Speaker, self.process.as_fd(), PollFlags::IN);
        }
    }

    pub(super) fn serve(&mut self, part: LogPart, flags: PollFlags) {
        match part {
            LogPart::Way if flags.contains(PollFlags::ERR) => self.begin_again(),
            LogPart::Way => self.flush(),
            LogPart::Speaker => self.over = true,
        }
    }

    /// No more comes: the pipe is closed as soon as it has everything.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.flush();
    }

    /// Whether the speaker has told everything, or is gone.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn rest(&mut self) {
        self.forget_sent();
        self.waiting.shrink_to_fit();
    }

    /// Ends a speaker that has not ended by itself.
    pub(super) fn close(self) {
        if !self.over {
            // Gone in the meantime: as well.
            let _ = gantry_sys::pidfd_send_signal(self.process.as_fd(), libc::SIGKILL);
        }
    }

    fn flush(&mut self) {
        while self.has_waiting() {
            let Some(pipe) = &self.pipe else {
                return;
            };
            match rustix::io::write(pipe, &self.waiting[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.begin_again(),
            }
        }
        self.forget_sent();
        if self.ended {
            self.pipe = None;
        }
    }

    fn forget_sent(&mut self) {
        if !self.has_waiting() {
            self.waiting.clear();
            self.waiting.shrink_to(KEPT);
            self.sent = 0;
        } else if self.sent > self.waiting.len() / 2 {
            self.waiting.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Somebody has killed the speaker. What it had not told is lost, since
    /// nobody knows how much that is.
    fn begin_again(&mut self) {
        self.pipe = None;
        self.waiting = Vec::new();
        self.sent = 0;
        let speaker = match self.ended || self.begun.elapsed() < SHORTEST_LIFE {
            true => None,
            false => Speaker::new(&self.settings),
        };
        if let Some(Ok((pipe, process))) = speaker.map(fork) {
            self.pipe = Some(pipe);
            self.process = process;
            self.begun = Instant::now();
        }
    }
}

/// Makes a process of a speaker: the way to it, and its handle.
fn fork(speaker: Speaker) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (theirs, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    super::stdio::set_nonblocking(ours.as_fd())?;
    // SAFETY: a shim has one thread.
    match unsafe { gantry_sys::clone3(&CloneRequest::default()) }? {
        Forked::Parent { pidfd, .. } => Ok((ours, pidfd)),
        Forked::Child => speak(speaker, &theirs),
    }
}

/// The speaker: tells what comes until nothing more can come.
fn speak(mut speaker: Speaker, pipe: &OwnedFd) -> ! {
    // Only for people who look.
    let _ = rustix::thread::set_name(c"gantry-log");
    super::setup::protect();
    let keep: Vec<_> = [Some(pipe.as_fd()), speaker.descriptor()]
        .into_iter()
        .flatten()
        .collect();
    // SAFETY: this process uses no other descriptor, and ends without
    // destructors.
    let closed = unsafe { gantry_sys::close_all_but(3, &keep) };
    if closed.is_err() {
        gantry_sys::exit_now(1);
    }
    let mut heard = Vec::with_capacity(CHUNK);
    loop {
        let mut fds = [PollFd::new(pipe, PollFlags::IN)];
        if poll(&mut fds, Some(&QUIET)) == Ok(0) {
            heard.shrink_to_fit();
            super::setup::rest();
            let _ = poll(&mut [PollFd::new(pipe, PollFlags::IN)], None);
        }
        heard.reserve(CHUNK);
        match rustix::io::read(pipe, rustix::buffer::spare_capacity(&mut heard)) {
            Ok(0) => break,
            Ok(_) => {
                let told = speaker.tell(&heard);
                heard.drain(..told);
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => break,
        }
    }
    speaker.finish();
    gantry_sys::exit_now(0)
}
