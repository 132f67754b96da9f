//! What clients ask, and the answers.

use std::os::unix::net::UnixStream;

use gantry_cgroup::FreezerState;

use super::ending::Phase;
use super::monitor::Monitor;
use crate::protocol::{AttachRequest, Event, ExecRequest, Frame, Message, Refusal, Reply, Request};

impl Monitor {
    /// Answers one message of a client.
    pub(super) fn serve_control(&mut self, at: usize) {
        let Some(frame) = self.controls[at].receive() else {
            return;
        };
        let request: Request = match frame.message() {
            Ok(request) => request,
            Err(error) => {
                let refusal = Refusal::BadRequest(error.to_string());
                self.controls[at].say(&Message::Reply(Reply::Refused(refusal)));
                return;
            }
        };
        let request = match request {
            Request::Acknowledge => return self.acknowledge(at),
            Request::Exec(request) => return self.exec(at, *request, frame),
            other => other,
        };
        let subscribes = matches!(request, Request::Subscribe);
        let reply = self.answer(request, frame);
        let control = &mut self.controls[at];
        control.say(&Message::Reply(reply));
        if subscribes {
            control.subscribed = true;
            if let Phase::Over { record, .. } = &self.phase {
                control.say(&Message::Event(Event::Exit(record.clone())));
            }
        }
    }

    /// Whoever acknowledges an end that is still to come gets the answer when it
    /// has come: then nothing of the container is left.
    fn acknowledge(&mut self, at: usize) {
        match &mut self.phase {
            Phase::Over { acknowledged, .. } => {
                *acknowledged = true;
                self.controls[at].holds_end = true;
                self.controls[at].say(&Message::Reply(Reply::Done));
            }
            Phase::Running | Phase::Draining { .. } => self.controls[at].awaits_end = true,
        }
    }

    /// Begins to add a process. Unless that fails, the answer comes when its
    /// program runs.
    fn exec(&mut self, at: usize, request: ExecRequest, frame: Frame) {
        let Frame { bytes, fds, .. } = frame;
        let container = &self.container;
        let begun = if !self.phase.is_running() {
            Err(Reply::Refused(Refusal::NotRunning))
        } else if container.cgroup.freezer_state() != FreezerState::Thawed {
            // It would be stopped before it could say anything.
            Err(Reply::Refused(Refusal::Paused))
        } else {
            let number = self.controls[at].number;
            self.execs.begin(container, request, &bytes, fds, number)
        };
        let control = &mut self.controls[at];
        match begun {
            Ok(()) => control.awaits_start = true,
            Err(reply) => control.say(&Message::Reply(reply)),
        }
    }

    fn answer(&mut self, request: Request, frame: Frame) -> Reply {
        let result = match request {
            Request::Subscribe => {
                let mut status = self.container.status.clone();
                status.paused = self.container.cgroup.freezer_state() != FreezerState::Thawed;
                status.execs = self.execs.statuses();
                return Reply::Status(status);
            }
            Request::Start(_)
            | Request::Namespaces
            | Request::Mapped
            | Request::Acknowledge
            | Request::Exec(_) => Err(Refusal::AlreadyStarted),
            Request::ForgetExec { exec } => {
                self.execs.forget(&exec);
                Ok(())
            }
            _ if !self.phase.is_running() => Err(Refusal::NotRunning),
            Request::Stats => return Reply::Stats(Box::new(self.container.cgroup.stats())),
            Request::Processes => match self.container.cgroup.pids() {
                Ok(pids) => return Reply::Processes(pids),
                Err(error) => Err(cgroup_refusal(&error)),
            },
            Request::Signal { signal, everyone } => self.signal(signal, everyone),
            Request::Resize { rows, columns } => self.streams.resize(rows, columns),
            Request::Attach(request) => self.attach(request, frame),
            Request::CloseStdin => self.streams.close_stdin(),
            Request::SignalExec { exec, signal } => self.execs.signal(&exec, signal),
            Request::ResizeExec {
                exec,
                rows,
                columns,
            } => self.execs.resize(&exec, rows, columns),
            Request::Pause => self
                .container
                .cgroup
                .freeze()
                .map_err(|e| cgroup_refusal(&e)),
            Request::Resume => self.container.cgroup.thaw().map_err(|e| cgroup_refusal(&e)),
            Request::Update(resources) => {
                let applied = self.container.cgroup.update(&resources);
                applied.map_err(|error| cgroup_refusal(&error))
            }
        };
        match result {
            Ok(()) => Reply::Done,
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    fn signal(&mut self, signal: i32, everyone: bool) -> Result<(), Refusal> {
        let sent = gantry_sys::pidfd_send_signal(&self.container.pidfd, signal);
        if sent == Err(rustix::io::Errno::SRCH) {
            return Err(Refusal::NotRunning);
        }
        sent.map_err(|errno| Refusal::failed("send signal", errno))?;
        if everyone {
            let pids = self
                .container
                .cgroup
                .pids()
                .map_err(|error| cgroup_refusal(&error))?;
            for pid in pids.into_iter().filter(|&pid| pid != self.container.pid) {
                send_to(pid, signal);
            }
        }
        // On v1 a stopped process does not even die.
        if signal == libc::SIGKILL && self.container.cgroup.freezer_state() != FreezerState::Thawed
        {
            let thawed = self.container.cgroup.thaw();
            thawed.map_err(|error| cgroup_refusal(&error))?;
        }
        Ok(())
    }

    fn attach(&mut self, request: AttachRequest, mut frame: Frame) -> Result<(), Refusal> {
        let socket = match (frame.fds.pop(), frame.fds.is_empty()) {
            (Some(fd), true) => UnixStream::from(fd),
            _ => return Err(Refusal::BadRequest("one socket expected".to_owned())),
        };
        self.streams.attach(request, socket);
        Ok(())
    }
}

fn send_to(pid: u32, signal: i32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let Some(pid) = pid else { return };
    // A process that has gone needs no signal.
    if let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let _ = gantry_sys::pidfd_send_signal(&fd, signal);
    }
}

fn cgroup_refusal(error: &gantry_cgroup::Error) -> Refusal {
    Refusal::Failed {
        operation: error.to_string(),
        errno: error.errno(),
    }
}
