//! Attaching: a client gets a socket to the container's shim, which carries its
//! output and takes its input; the engine is not in between. Who attaches
//! before the start is connected by it, and misses nothing.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_shim::protocol::AttachRequest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::logs::LogStream;
use super::{Containers, LogsQuery, detach};
use crate::error::{Error, Result};

/// What to attach to.
#[derive(Debug, Clone, Default)]
pub struct AttachQuery {
    /// The container's input.
    pub stdin: bool,
    /// Its output.
    pub stdout: bool,
    /// Its error output.
    pub stderr: bool,
    /// What happens from now on; without it only `logs` are replayed.
    pub stream: bool,
    /// What it has written so far, first.
    pub logs: bool,
    /// What to press to leave a terminal; `ctrl-p,ctrl-q` when not given.
    pub detach_keys: Option<String>,
}

/// An attachment. Dropping it detaches, and does nothing to the container.
#[derive(Debug)]
pub struct AttachStream {
    /// Whether the container has a terminal: then all bytes are raw, else the
    /// output is multiplexed.
    pub tty: bool,
    /// What it has written so far, to be sent first; of the same kind.
    pub replay: Option<LogStream>,
    /// Carries output to the client, and what the client writes into it to the
    /// container's input; half-closing it ends the input, its end is the end of
    /// the attachment. Detach keys are looked for at the other side.
    pub socket: Option<UnixStream>,
}

/// A client that attached to a container which does not run.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) request: AttachRequest,
    pub(crate) socket: UnixStream,
}

impl Pending {
    /// Whether the client has gone.
    pub(crate) fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::empty())];
        let polled = poll(&mut fds, Some(&Timespec::default()));
        polled.is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }
}

/// A number for an attachment, which no other of this engine has.
pub(crate) fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

impl Containers {
    /// Attaches to a container, running or not.
    ///
    /// # Errors
    /// `NoSuchContainer`; `InvalidDetachKeys`; `Conflict` when it is being removed.
    pub fn attach(&self, idref: &str, query: &AttachQuery) -> Result<AttachStream> {
        let keys = detach::parse(query.detach_keys.as_deref())?;
        let container = self.inner.find(idref)?;
        if container.state().paused {
            return Err(Error::Conflict(format!(
                "container {idref} is paused, unpause the container before attach"
            )));
        }
        if container.state().restarting() {
            return Err(Error::Conflict(format!(
                "container {idref} is restarting, wait until the container is running"
            )));
        }
        let config = &container.record().config;
        let replay = query
            .logs
            .then(|| {
                let query = LogsQuery {
                    stdout: query.stdout,
                    stderr: query.stderr,
                    ..LogsQuery::default()
                };
                self.inner.log_stream(&container, &query)
            })
            .transpose()?;
        let request = AttachRequest {
            attach: next_number(),
            stdin: query.stdin && config.open_stdin,
            stdout: query.stdout,
            stderr: query.stderr,
            detach_keys: keys,
        };
        let socket = query
            .stream
            .then(|| self.inner.connect(&container, request))
            .transpose()?;
        self.inner.publish(&container, "attach", &[]);
        Ok(AttachStream {
            tty: config.tty,
            replay,
            socket,
        })
    }
}

impl super::Inner {
    pub(super) fn connect(
        &self,
        container: &super::container::Container,
        request: AttachRequest,
    ) -> Result<UnixStream> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|error| Error::io("make", "socket pair", error))?;
        let mut client = Pending {
            request,
            socket: theirs,
        };
        loop {
            container.wait_started();
            if container.state().restarting() {
                return Err(Error::restarting(container.id()));
            }
            client = match container.add_pending(client) {
                Ok(()) => return Ok(ours),
                Err(client) => client,
            };
            match container.link() {
                Ok(link) => match link.attach(client.request.clone()) {
                    Ok(socket) => return Ok(socket),
                    // It has just ended; it may be attached to for its next start.
                    Err(error) if container.state().running() => return Err(error.into()),
                    Err(_) => container.wait_stopped(None),
                },
                Err(_) if container.state().running() => container.wait_stopped(None),
                Err(_) => {
                    return Err(Error::Conflict(format!(
                        "container {} is marked for removal and cannot be attached to",
                        container.id()
                    )));
                }
            };
        }
    }
}
