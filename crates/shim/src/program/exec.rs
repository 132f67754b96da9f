//! Processes that are added to the container.
//!
//! ```text
//! Starting ── its program runs ──▶ Running ── gone ──▶ Draining ── all read and sent, or late ──▶ Told
//!     └── failed: the client hears why                 (told: the event, and the list of ended ones)
//! ```
//!
//! A process that starts is waited for like everything else, in the loop: it is
//! in the container's namespaces already, where others can stop it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use gantry_runtime::seccomp::Filter;
use gantry_runtime::{
    CgroupJoin, Exec as Launch, Launched, StartError, Starting, Step, UserRequest,
};
use gantry_sys::ExitStatus;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use super::ending::{CLIENT_PATIENCE, DRAIN_PATIENCE};
use super::start::{Container, bad, cgroup_failure, clients, make_stdio, runtime_failure};
use super::stdio::{self, Ours, Theirs};
use super::streams::{Manner, Part, Streams};
use crate::protocol::{
    AttachRequest, Event, ExecRequest, ExecStatus, Refusal, Reply, StartFailure,
};

/// Ended processes that nobody has forgotten; beyond this the oldest are.
const MAX_ENDED: usize = 256;
/// What can be ready of an added process.
#[derive(Debug, Clone, Copy)]
pub(super) enum ExecPart {
    /// It has news of its start.
    Start,
    Stream(Part),
}

/// All of them.
#[derive(Default)]
pub(super) struct Execs {
    list: Vec<Exec>,
    ended: VecDeque<ExecStatus>,
}

struct Exec {
    id: String,
    phase: Phase,
}

enum Phase {
    Starting(Box<Begun>),
    Running(Running),
    /// It is forgotten at the end of the turn.
    Failed,
}

/// A process on its way to its program.
struct Begun {
    starting: Starting,
    ours: Ours,
    manner: Manner,
    clients: Vec<(AttachRequest, UnixStream)>,
    /// The number of the control that waits for the answer.
    control: u64,
    /// Whether it must be moved into the cgroup, since it was not born there.
    outside: bool,
    /// How it ended, if that was noticed before its start was.
    ended: Option<ExitStatus>,
}

struct Running {
    pid: u32,
    pidfd: OwnedFd,
    streams: Streams,
    ended: Option<Ended>,
}

struct Ended {
    code: i32,
    /// Told at this time at the latest; `None` once it has been told.
    deadline: Option<Instant>,
}

/// What there is to tell: an answer for a control, by its number.
pub(super) type Answer = (u64, Reply);

impl Execs {
    /// Begins to make a process. The answer comes later, unless this fails.
    pub(super) fn begin(
        &mut self,
        container: &Container,
        mut request: ExecRequest,
        filter: &[u8],
        fds: Vec<OwnedFd>,
        control: u64,
    ) -> Result<(), Reply> {
        if request.exec.is_empty() || self.is_known(&request.exec) {
            let what = "an id that no other exec of this container has is expected";
            return Err(Reply::Refused(Refusal::BadRequest(what.to_owned())));
        }
        let clients = clients(&request.attach, fds.into_iter()).map_err(Reply::Failed)?;
        let filter = super::start::filter(filter).map_err(Reply::Failed)?;
        container.adjust(&mut request.process);
        let (theirs, ours) =
            make_stdio(&request.process, request.open_stdin).map_err(Reply::Failed)?;
        let begun = begin(container, &request, filter.as_ref(), &theirs);
        let (starting, outside) = begun.map_err(|failure| no_start(container, failure))?;
        stdio::set_nonblocking(starting.as_fd())
            .map_err(|errno| Reply::Failed(super::start::prepare("set up the start")(errno)))?;
        let begun = Begun {
            starting,
            ours,
            manner: Manner {
                open_stdin: request.open_stdin,
                stdin_once: true,
                log: None,
                spill: container.spill.clone(),
            },
            clients,
            control,
            outside,
            ended: None,
        };
        self.list.push(Exec {
            id: request.exec,
            phase: Phase::Starting(Box::new(begun)),
        });
        Ok(())
    }

    fn is_known(&self, id: &str) -> bool {
        self.list.iter().any(|exec| exec.id == id) || self.ended.iter().any(|exec| exec.exec == id)
    }

    pub(super) fn interests<'a>(
        &'a self,
        mut add: impl FnMut(usize, ExecPart, BorrowedFd<'a>, PollFlags),
    ) {
        for (at, exec) in self.list.iter().enumerate() {
            match &exec.phase {
                Phase::Starting(begun) => {
                    add(at, ExecPart::Start, begun.starting.as_fd(), PollFlags::IN);
                }
                Phase::Running(running) => running
                    .streams
                    .interests(|part, fd, flags| add(at, ExecPart::Stream(part), fd, flags)),
                Phase::Failed => {}
            }
        }
    }

    /// Serves what is ready. An answer is for the client that asked for the start.
    pub(super) fn serve(
        &mut self,
        at: usize,
        part: ExecPart,
        flags: PollFlags,
        container: &Container,
        told: &mut Vec<Event>,
    ) -> Option<Answer> {
        match (part, &mut self.list[at].phase) {
            (ExecPart::Start, Phase::Starting(_)) => self.go_on_starting(at, container),
            (ExecPart::Stream(part), Phase::Running(running)) => {
                running.streams.serve(part, flags, told);
                None
            }
            // It was something else when the turn began.
            _ => None,
        }
    }

    fn go_on_starting(&mut self, at: usize, container: &Container) -> Option<Answer> {
        let Phase::Starting(begun) = &mut self.list[at].phase else {
            return None;
        };
        let control = begun.control;
        let enter = |pid: Pid| {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            let entered = container.cgroup.add_pid(pid);
            entered.map_err(|error| Errno::from_raw_os_error(error.errno().unwrap_or(libc::EIO)))
        };
        let join = match begun.outside {
            true => CgroupJoin::Attach(&enter),
            false => CgroupJoin::Inherit,
        };
        let launched = match begun.starting.advance(&join) {
            Ok(None) => return None,
            Err(error) if error.step == Step::Sync && error.errno == libc::EAGAIN => return None,
            Ok(Some(launched)) => launched,
            Err(error) => {
                // Kept in its place until the turn is over, since others are
                // known by theirs.
                self.list[at].phase = Phase::Failed;
                return Some((control, no_start(container, runtime_failure(error))));
            }
        };
        let Phase::Starting(begun) = std::mem::replace(&mut self.list[at].phase, Phase::Failed)
        else {
            return None;
        };
        let ended = begun.ended;
        let mut running = Running::new(*begun, launched);
        let pid = running.pid;
        if let Some(status) = ended {
            running.end(status);
        }
        self.list[at].phase = Phase::Running(running);
        Some((control, Reply::Started { pid }))
    }

    /// Gives back memory.
    pub(super) fn rest(&mut self) {
        for exec in &mut self.list {
            if let Phase::Running(running) = &mut exec.phase {
                running.streams.rest();
            }
        }
    }

    /// Takes note of a child's end. False: it is none of these.
    pub(super) fn reaped(&mut self, pid: u32, status: ExitStatus) -> bool {
        for exec in &mut self.list {
            match &mut exec.phase {
                Phase::Starting(begun) if begun.pid() == Some(pid) => {
                    begun.ended = Some(status);
                    return true;
                }
                Phase::Running(running) if running.pid == pid && running.ended.is_none() => {
                    running.end(status);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Goes on where it is time, and forgets what is done.
    pub(super) fn advance(&mut self, told: &mut Vec<Event>) {
        for exec in &mut self.list {
            if let Phase::Running(running) = &mut exec.phase
                && let Some(code) = running.advance()
            {
                let status = ExecStatus {
                    exec: exec.id.clone(),
                    pid: running.pid,
                    exit_code: Some(code),
                };
                tell(status, &mut self.ended, told);
            }
        }
        self.list.retain(|exec| match &exec.phase {
            Phase::Starting(_) => true,
            Phase::Running(running) => !running.is_done(),
            Phase::Failed => false,
        });
    }

    /// The container is over: nothing of these is waited for but their clients.
    /// Whoever still waits for a start hears that.
    pub(super) fn end_all(&mut self, told: &mut Vec<Event>) -> Vec<Answer> {
        let mut answers = Vec::new();
        for exec in std::mem::take(&mut self.list) {
            let mut running = match exec.phase {
                Phase::Starting(begun) => {
                    answers.push((begun.control, Reply::Refused(Refusal::NotRunning)));
                    continue;
                }
                Phase::Running(running) => running,
                Phase::Failed => continue,
            };
            if let Some(code) = running.end_now() {
                let status = ExecStatus {
                    exec: exec.id.clone(),
                    pid: running.pid,
                    exit_code: Some(code),
                };
                tell(status, &mut self.ended, told);
            }
            if running.streams.has_clients() {
                let phase = Phase::Running(running);
                self.list.push(Exec { id: exec.id, phase });
            }
        }
        answers
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let running = self.list.iter().filter_map(|exec| match &exec.phase {
            Phase::Running(running) => running.deadline(),
            Phase::Starting(_) | Phase::Failed => None,
        });
        running.min()
    }

    /// Whether there is output to be read of processes that end with the container.
    pub(super) fn are_drained(&self) -> bool {
        self.list.iter().all(|exec| match &exec.phase {
            Phase::Running(running) => running.ended.is_some() && running.streams.is_drained(),
            Phase::Starting(_) | Phase::Failed => true,
        })
    }

    /// Whether clients are still to get something.
    pub(super) fn has_clients(&self) -> bool {
        !self.list.is_empty()
    }

    pub(super) fn statuses(&self) -> Vec<ExecStatus> {
        let open = self.list.iter().filter_map(|exec| match &exec.phase {
            Phase::Running(running) if !running.is_told() => Some(ExecStatus {
                exec: exec.id.clone(),
                pid: running.pid,
                exit_code: None,
            }),
            _ => None,
        });
        open.chain(self.ended.iter().cloned()).collect()
    }

    pub(super) fn signal(&self, id: &str, signal: i32) -> Result<(), Refusal> {
        let running = self.running(id)?;
        match gantry_sys::pidfd_send_signal(&running.pidfd, signal) {
            Err(Errno::SRCH) => Err(Refusal::NoSuchExec),
            other => other.map_err(|errno| Refusal::failed("send signal", errno)),
        }
    }

    pub(super) fn resize(&self, id: &str, rows: u16, columns: u16) -> Result<(), Refusal> {
        self.running(id)?.streams.resize(rows, columns)
    }

    /// Takes an ended process out of the list; that it is not there is no error.
    pub(super) fn forget(&mut self, id: &str) {
        self.ended.retain(|exec| exec.exec != id);
    }

    fn running(&self, id: &str) -> Result<&Running, Refusal> {
        let exec = self.list.iter().find(|exec| exec.id == id);
        match exec.map(|exec| &exec.phase) {
            Some(Phase::Running(running)) if running.ended.is_none() => Ok(running),
            _ => Err(Refusal::NoSuchExec),
        }
    }
}

impl Begun {
    fn pid(&self) -> Option<u32> {
        let pid = self.starting.pid()?;
        Some(pid.as_raw_nonzero().get().unsigned_abs())
    }
}

impl Running {
    fn new(begun: Begun, launched: Launched) -> Self {
        let Begun {
            mut ours,
            manner,
            clients,
            ..
        } = begun;
        if let Some(terminal) = launched.terminal {
            // A terminal that waits would be a kernel's fault.
            let _ = stdio::set_nonblocking(terminal.as_fd());
            ours.terminal = Some(terminal);
        }
        Self {
            pid: launched.pid.as_raw_nonzero().get().unsigned_abs(),
            pidfd: launched.pidfd,
            streams: Streams::new(ours, manner, clients),
            ended: None,
        }
    }

    /// The process is gone.
    fn end(&mut self, status: ExitStatus) {
        self.streams.begin_draining();
        self.ended = Some(Ended {
            code: status.code(),
            deadline: Some(Instant::now() + DRAIN_PATIENCE),
        });
    }

    /// The exit code, at the moment when it is to be told.
    fn advance(&mut self) -> Option<i32> {
        self.streams.forget_done();
        let ended = self.ended.as_mut()?;
        let Some(deadline) = ended.deadline else {
            self.streams.give_up_idle(CLIENT_PATIENCE);
            return None;
        };
        let late = Instant::now() >= deadline;
        if self.streams.is_drained() || late {
            self.streams.finish();
            self.streams.release();
        }
        if late || (self.streams.is_drained() && !self.streams.has_clients()) {
            ended.deadline = None;
            return Some(ended.code);
        }
        None
    }

    /// The exit code, if it was not told before. Nothing of the container lives
    /// any more: who has not ended by itself was killed.
    fn end_now(&mut self) -> Option<i32> {
        self.streams.begin_draining();
        self.streams.finish();
        self.streams.release();
        let killed = ExitStatus::Signaled(libc::SIGKILL).code();
        let ended = self.ended.get_or_insert(Ended {
            code: killed,
            deadline: Some(Instant::now()),
        });
        ended.deadline.take().map(|_| ended.code)
    }

    fn is_told(&self) -> bool {
        matches!(&self.ended, Some(Ended { deadline: None, .. }))
    }

    fn is_done(&self) -> bool {
        self.is_told() && !self.streams.has_clients()
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.ended {
            None => self.streams.deadline(),
            Some(Ended { deadline, .. }) => {
                Some(deadline.unwrap_or_else(|| Instant::now() + CLIENT_PATIENCE))
            }
        }
    }
}

/// What whoever wanted the process hears.
fn no_start(container: &Container, failure: StartFailure) -> Reply {
    match container.explains(&failure) {
        true => Reply::Refused(Refusal::NotRunning),
        false => Reply::Failed(failure),
    }
}

fn tell(status: ExecStatus, ended: &mut VecDeque<ExecStatus>, told: &mut Vec<Event>) {
    told.push(Event::ExecExit {
        exec: status.exec.clone(),
        exit_code: status.exit_code.unwrap_or_default(),
    });
    ended.push_back(status);
    if ended.len() > MAX_ENDED {
        ended.pop_front();
    }
}

/// Makes the process in the container's cgroup. Where a limit leaves no room for
/// a birth it is made outside (true), and moved: who looks into a container that
/// has run full shall not be locked out.
fn begin(
    container: &Container,
    request: &ExecRequest,
    filter: Option<&Filter>,
    stdio: &Theirs,
) -> Result<(Starting, bool), StartFailure> {
    let target = i32::try_from(container.pid).ok().and_then(Pid::from_raw);
    let target = target.ok_or_else(|| bad("pid"))?;
    let user = request.user.as_ref();
    let launch = |cgroup: CgroupJoin<'_>| {
        let launch = Launch {
            target,
            process: &request.process,
            seccomp: filter,
            listener: None,
            cgroup,
            stdio: stdio.stdio(),
            preserve_fds: 0,
            // No container of the engine has one.
            personality: None,
            user: user.map(|user| UserRequest {
                user: &user.user,
                groups: &user.groups,
            }),
        };
        launch.begin()
    };
    let born = container
        .cgroup
        .birth(|fd| launch(fd.map_or(CgroupJoin::Inherit, CgroupJoin::Unified)));
    let no_room = |error: &StartError| error.step == Step::Clone && error.errno == libc::EAGAIN;
    match born.map_err(cgroup_failure)? {
        Err(error) if no_room(&error) => {
            // It waits until `advance` moves it.
            let moved = launch(CgroupJoin::Attach(&|_| Ok(())));
            Ok((moved.map_err(runtime_failure)?, true))
        }
        other => Ok((other.map_err(runtime_failure)?, false)),
    }
}
