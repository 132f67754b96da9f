//! One container's shim, as the daemon sees it.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantry_cgroup::{Resources, Stats};
use gantry_runtime::seccomp::Filter;
use gantry_types::ContainerId;

use super::error::{Error, Result};
use super::reactor::Reactor;
use crate::files::Directory;
use crate::protocol::{
    AttachRequest, ExecRequest, FrameError, Message, Refusal, Reply, Request, Status, receive, send,
};

/// A shim answers requests in microseconds; freezing may take two seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// A program may be on a slow disk.
const EXEC_PATIENCE: Duration = Duration::from_secs(300);

/// A connection to the shim of one container. Each request is a connection of
/// its own to the shim's socket, so requests never wait for each other, and the
/// connection survives anything but the shim's end.
#[derive(Debug)]
pub struct ShimConnection {
    id: ContainerId,
    directory: Directory,
    pid: u32,
    reactor: Arc<Reactor>,
    /// The subscribed socket, until `watch` hands it to the reactor.
    unwatched: Mutex<Option<Subscribed>>,
}

/// Keeps the clients of a container that is over from seeing that.
#[derive(Debug)]
pub struct Farewell {
    _socket: Option<UnixStream>,
}

/// A socket on which events arrive, and the process behind it if it is our child.
#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) socket: UnixStream,
    pub(super) child: Option<Child>,
}

impl ShimConnection {
    pub(super) fn new(
        id: ContainerId,
        directory: Directory,
        pid: u32,
        reactor: Arc<Reactor>,
        subscribed: Subscribed,
    ) -> Self {
        Self {
            id,
            directory,
            pid,
            reactor,
            unwatched: Mutex::new(Some(subscribed)),
        }
    }

    /// The container.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The pid of the container's first process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// From now on events of this container go to the pool's callback; those
    /// that happened since the start or the reconnection come first. The last
    /// one is always `Exit`, even if the shim is killed. Once is enough.
    pub fn watch(&self) -> Result<()> {
        match self.take_unwatched() {
            Some(subscribed) => {
                self.reactor
                    .watch(self.id.clone(), self.directory.clone(), subscribed)
            }
            None => Ok(()),
        }
    }

    /// Sends a signal to the first process, or to every one.
    pub fn signal(&self, signal: i32, everyone: bool) -> Result<()> {
        self.done("signal", &Request::Signal { signal, everyone })
    }

    /// Changes the terminal's size.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        self.done("resize", &Request::Resize { rows, columns })
    }

    /// Connects a client; see [`crate::protocol`] for what the socket carries.
    /// Its end is the end of the attachment, whatever the reason; which one it
    /// was, events tell.
    pub fn attach(&self, request: AttachRequest) -> Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()
            .map_err(|source| Error::io("socketpair for", &self.directory.path, source))?;
        let request = Request::Attach(request);
        self.expect_done("attach", self.ask("attach", &request, &[theirs.as_fd()])?)?;
        Ok(ours)
    }

    /// Runs another process in the container, and returns its pid once its
    /// program runs. `clients` are the shim's ends of sockets, one for each of
    /// the request's `attach`; see [`crate::protocol`] for what they carry.
    /// The end comes as [`crate::protocol::Event::ExecExit`], maybe even before
    /// this returns. `Start` when it could not be run, `Refused` when the
    /// container does not run or is paused.
    pub fn exec(
        &self,
        request: &ExecRequest,
        seccomp: Option<&Filter>,
        clients: &[BorrowedFd<'_>],
    ) -> Result<u32> {
        let operation = "exec";
        let filter = seccomp.map(Filter::to_bytes).unwrap_or_default();
        let request = Request::Exec(Box::new(request.clone()));
        let socket = self.connect(EXEC_PATIENCE)?;
        send(&socket, &request, &filter, clients).map_err(Error::connection(operation))?;
        match reply_on(&socket, operation)? {
            Reply::Started { pid } => Ok(pid),
            Reply::Failed(failure) => Err(Error::Start(failure)),
            other => Err(self.refusal(operation, other)),
        }
    }

    /// Sends a signal to a process that [`Self::exec`] has added.
    pub fn signal_exec(&self, exec: &str, signal: i32) -> Result<()> {
        let exec = exec.to_owned();
        self.done("signal exec", &Request::SignalExec { exec, signal })
    }

    /// Changes the size of its terminal.
    pub fn resize_exec(&self, exec: &str, rows: u16, columns: u16) -> Result<()> {
        let request = Request::ResizeExec {
            exec: exec.to_owned(),
            rows,
            columns,
        };
        self.done("resize exec", &request)
    }

    /// Says that its end has been recorded: it is left out of the status.
    pub fn forget_exec(&self, exec: &str) -> Result<()> {
        let exec = exec.to_owned();
        self.done("forget exec", &Request::ForgetExec { exec })
    }

    /// Ends the container's standard input.
    pub fn close_stdin(&self) -> Result<()> {
        self.done("close stdin", &Request::CloseStdin)
    }

    /// Stops all processes.
    pub fn pause(&self) -> Result<()> {
        self.done("pause", &Request::Pause)
    }

    /// Lets them go on.
    pub fn resume(&self) -> Result<()> {
        self.done("resume", &Request::Resume)
    }

    /// Changes limits; what is `None` stays.
    pub fn update(&self, resources: Resources) -> Result<()> {
        self.done("update", &Request::Update(Box::new(resources)))
    }

    /// Measures.
    pub fn stats(&self) -> Result<Stats> {
        match self.ask("stats", &Request::Stats, &[])? {
            Reply::Stats(stats) => Ok(*stats),
            other => Err(self.refusal("stats", other)),
        }
    }

    /// The ids of the container's processes, in the host's pid namespace.
    pub fn processes(&self) -> Result<Vec<u32>> {
        match self.ask("list processes", &Request::Processes, &[])? {
            Reply::Processes(pids) => Ok(pids),
            other => Err(self.refusal("list processes", other)),
        }
    }

    /// The state as the shim knows it.
    pub fn status(&self) -> Result<Status> {
        match self.ask("status", &Request::Subscribe, &[])? {
            Reply::Status(status) => Ok(status),
            other => Err(self.refusal("status", other)),
        }
    }

    /// Says that the exit has been recorded: the shim ends, its directory goes.
    /// For a container that is being killed this waits for its end.
    pub fn delete(&self) -> Result<()> {
        self.say_farewell().map(drop)
    }

    /// As [`Self::delete`], but its clients see the end of their streams only
    /// when the answer is dropped (or after two seconds): what they ask then
    /// shall find the container ended.
    pub fn say_farewell(&self) -> Result<Farewell> {
        let operation = "acknowledge";
        let acknowledged = self.connect(PATIENCE).and_then(|socket| {
            send(&socket, &Request::Acknowledge, &[], &[]).map_err(Error::connection(operation))?;
            self.expect_done(operation, reply_on(&socket, operation)?)?;
            Ok(socket)
        });
        let socket = match acknowledged {
            Ok(socket) => Some(socket),
            Err(Error::Gone(_) | Error::Refused(Refusal::NotRunning)) => None,
            // The shim was quicker, or it was killed.
            Err(Error::Connection {
                source: FrameError::Closed,
                ..
            }) => None,
            Err(error) => return Err(error),
        };
        let removed = self.directory.remove();
        removed.map_err(|source| Error::io("remove", &self.directory.path, source))?;
        Ok(Farewell { _socket: socket })
    }

    /// The container's directory below the exec root.
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    fn done(&self, operation: &'static str, request: &Request) -> Result<()> {
        self.expect_done(operation, self.ask(operation, request, &[])?)
    }

    fn expect_done(&self, operation: &'static str, reply: Reply) -> Result<()> {
        match reply {
            Reply::Done => Ok(()),
            other => Err(self.refusal(operation, other)),
        }
    }

    fn refusal(&self, operation: &'static str, reply: Reply) -> Error {
        match reply {
            Reply::Refused(refusal) => Error::Refused(refusal),
            _ => Error::Unexpected(operation),
        }
    }

    fn ask(
        &self,
        operation: &'static str,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Reply> {
        let socket = self.connect(PATIENCE)?;
        send(&socket, request, &[], fds).map_err(Error::connection(operation))?;
        reply_on(&socket, operation)
    }

    fn connect(&self, patience: Duration) -> Result<UnixStream> {
        let socket = match self.directory.connect() {
            Ok(socket) => socket,
            Err(_) if self.directory.file(crate::files::EXIT).exists() => {
                return Err(Error::Refused(Refusal::NotRunning));
            }
            Err(_) => return Err(Error::Gone(self.id.to_string())),
        };
        let limited = socket
            .set_read_timeout(Some(patience))
            .and_then(|()| socket.set_write_timeout(Some(PATIENCE)));
        limited.map_err(|source| Error::io("prepare", &self.directory.path, source))?;
        Ok(socket)
    }

    fn take_unwatched(&self) -> Option<Subscribed> {
        let mut guard = self
            .unwatched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        guard.take()
    }
}

impl Drop for ShimConnection {
    fn drop(&mut self) {
        // Nobody listens any more, but a child still has to be reaped.
        if let Some(Subscribed {
            child: Some(child), ..
        }) = self.take_unwatched()
        {
            self.reactor.reap(child);
        }
    }
}

/// The next reply; events before it cannot be.
pub(super) fn reply_on(socket: &UnixStream, operation: &'static str) -> Result<Reply> {
    let frame = receive(socket).map_err(Error::connection(operation))?;
    let message = frame.message().map_err(Error::connection(operation))?;
    match message {
        Message::Reply(reply) => Ok(reply),
        Message::Event(_) => Err(Error::Unexpected(operation)),
    }
}
