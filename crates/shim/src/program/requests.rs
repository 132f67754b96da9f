//! What clients ask, and the answers.

use std::os::unix::net::UnixStream;

use gantry_cgroup::FreezerState;
use rustix::termios::{Winsize, tcsetwinsize};

use super::attached::Attached;
use super::ending::Phase;
use super::monitor::Monitor;
use crate::protocol::{Event, Frame, Message, Refusal, Reply, Request};

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
        if matches!(request, Request::Acknowledge) {
            return self.acknowledge(at);
        }
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
                self.controls[at].say(&Message::Reply(Reply::Done));
            }
            Phase::Running | Phase::Draining { .. } => self.controls[at].awaits_end = true,
        }
    }

    fn answer(&mut self, request: Request, frame: Frame) -> Reply {
        let result = match request {
            Request::Subscribe => {
                let mut status = self.container.status.clone();
                status.paused = self.container.cgroup.freezer_state() != FreezerState::Thawed;
                return Reply::Status(status);
            }
            Request::Start(_) | Request::Acknowledge => Err(Refusal::AlreadyStarted),
            _ if !self.phase.is_running() => Err(Refusal::NotRunning),
            Request::Stats => return Reply::Stats(Box::new(self.container.cgroup.stats())),
            Request::Processes => match self.container.cgroup.pids() {
                Ok(pids) => return Reply::Processes(pids),
                Err(error) => Err(cgroup_refusal(&error)),
            },
            Request::Signal { signal, everyone } => self.signal(signal, everyone),
            Request::Resize { rows, columns } => self.resize(rows, columns),
            Request::Attach(request) => self.attach(request, frame),
            Request::CloseStdin => self.close_stdin(),
            Request::Exec(_) => Err(Refusal::BadRequest("exec".to_owned())),
            Request::SignalExec { .. }
            | Request::ResizeExec { .. }
            | Request::ForgetExec { .. } => Err(Refusal::NoSuchExec),
            Request::Pause => self
                .container
                .cgroup
                .freeze()
                .map_err(|e| cgroup_refusal(&e)),
            Request::Resume => self.container.cgroup.thaw().map_err(|e| cgroup_refusal(&e)),
            Request::Update(resources) => {
                let applied = self.container.cgroup.apply(&resources);
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
        sent.map_err(|errno| failed("send signal", errno))?;
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

    fn resize(&self, rows: u16, columns: u16) -> Result<(), Refusal> {
        let terminal = self.terminal.as_ref().ok_or(Refusal::NoTerminal)?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(terminal, size).map_err(|errno| failed("resize terminal", errno))
    }

    fn attach(
        &mut self,
        mut request: crate::protocol::AttachRequest,
        mut frame: Frame,
    ) -> Result<(), Refusal> {
        let socket = match (frame.fds.pop(), frame.fds.is_empty()) {
            (Some(fd), true) => UnixStream::from(fd),
            _ => return Err(Refusal::BadRequest("one socket expected".to_owned())),
        };
        request.stdin &= self.open_stdin;
        self.attached
            .push(Attached::new(request, socket, self.has_terminal, false));
        Ok(())
    }

    fn close_stdin(&mut self) -> Result<(), Refusal> {
        if self.input.pipe.is_none() {
            return Err(Refusal::NoStdin);
        }
        self.input.close();
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

fn failed(operation: &str, errno: rustix::io::Errno) -> Refusal {
    Refusal::Failed {
        operation: format!("{operation}: {errno}"),
        errno: Some(errno.raw_os_error()),
    }
}

fn cgroup_refusal(error: &gantry_cgroup::Error) -> Refusal {
    Refusal::Failed {
        operation: error.to_string(),
        errno: error.errno(),
    }
}
