//! Warm shims, and starting containers with them.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gantry_runtime::seccomp::Filter;
use gantry_types::ContainerId;

use super::connection::{ShimConnection, Subscribed, reply_on};
use super::error::{Error, Result};
use super::leftover::{self, Found};
use super::namespaces::{self, IdMaps, OwnNamespaces};
use super::reactor::{OnEvent, Reactor};
use super::warm::Warm;
use crate::files::Directory;
use crate::protocol::{Event, FrameError, Reply, Request, StartRequest, send};

/// A start includes hooks, which may take their time.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long after the last start refilling begins, while one is left.
const PAUSE: Duration = Duration::from_millis(20);

/// What a pool needs to know.
#[derive(Debug)]
pub struct PoolConfig {
    /// Where containers' directories are.
    pub exec_root: PathBuf,
    /// The shim program; see `gantry_sys::sealed_memfd`.
    pub program: OwnedFd,
    /// How many shims wait.
    pub size: usize,
    /// How many files a shim and its container may have open (the soft limit);
    /// as many as this process when `None`.
    pub open_files: Option<u64>,
}

/// Descriptors that go with a start.
#[derive(Debug, Default)]
pub struct StartFds<'a> {
    /// The network namespace to join.
    pub network: Option<BorrowedFd<'a>>,
    /// The user namespace to enter.
    pub user: Option<BorrowedFd<'a>>,
    /// One socket for each of the request's `attach`.
    pub attach: Vec<BorrowedFd<'a>>,
}

/// Starts containers in shims, and finds those started before.
pub struct ShimPool {
    shared: Arc<Shared>,
    reactor: Arc<Reactor>,
    /// Asks for a refill; closing it ends the thread that refills.
    refill: SyncSender<()>,
}

struct Shared {
    exec_root: PathBuf,
    program: OwnedFd,
    /// What containers' mount namespaces begin with, where that is possible.
    empty_mounts: Option<OwnedFd>,
    size: usize,
    open_files: Option<u64>,
    warm: Mutex<Vec<Warm>>,
    /// When one was last asked for.
    used: Mutex<Option<Instant>>,
}

impl fmt::Debug for ShimPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ShimPool");
        text.field("exec_root", &self.shared.exec_root)
            .finish_non_exhaustive()
    }
}

impl ShimPool {
    /// Starts the pool's threads; shims are warmed up in the background. Events
    /// of all containers go to `on_event`, in one thread, in order for each
    /// container; it must not wait long.
    pub fn new(
        config: PoolConfig,
        on_event: impl Fn(&ContainerId, Event) + Send + Sync + 'static,
    ) -> Result<Self> {
        let on_event: OnEvent = Arc::new(on_event);
        let reactor = Reactor::start(on_event)?;
        let shared = Arc::new(Shared {
            exec_root: config.exec_root,
            program: config.program,
            empty_mounts: gantry_sys::mountns::empty().ok(),
            size: config.size,
            open_files: config.open_files,
            warm: Mutex::new(Vec::new()),
            used: Mutex::new(None),
        });
        let (refill, wanted) = mpsc::sync_channel(1);
        let background = shared.clone();
        thread::Builder::new()
            .name("shim-pool".to_owned())
            .spawn(move || background.keep_full(&wanted))
            .map_err(Error::Spawn)?;
        let pool = Self {
            shared,
            reactor,
            refill,
        };
        pool.ask_for_refill();
        Ok(pool)
    }

    /// Where containers' directories are.
    pub fn exec_root(&self) -> &Path {
        &self.shared.exec_root
    }

    /// A mount namespace with nothing in it, where the kernel can make one.
    pub fn empty_mounts(&self) -> Option<BorrowedFd<'_>> {
        self.shared.empty_mounts.as_ref().map(AsFd::as_fd)
    }

    /// Starts a container and returns when its program runs. On failure nothing
    /// of it is left. Events wait until [`ShimConnection::watch`].
    pub fn start(
        &self,
        mut request: StartRequest,
        seccomp: Option<&Filter>,
        fds: &StartFds<'_>,
    ) -> Result<ShimConnection> {
        let id = request.id.clone();
        let filter = seccomp.map(Filter::to_bytes).unwrap_or_default();
        let empty = self.empty_mounts();
        request.empty_mounts_fd = empty.is_some();
        request.user_fd = fds.user.is_some();
        let namespaces = fds.network.into_iter().chain(fds.user).chain(empty);
        let all: Vec<_> = namespaces.chain(fds.attach.iter().copied()).collect();
        let message = Request::Start(Box::new(request));
        let result = self.start_in_shim(&message, &filter, &all);
        self.ask_for_refill();
        let (warm, reply) = result?;
        match reply {
            Reply::Started { pid } => {
                let subscribed = Subscribed {
                    socket: warm.socket,
                    child: Some(warm.child),
                };
                let directory = Directory::of(&self.shared.exec_root, &id);
                let reactor = self.reactor.clone();
                Ok(ShimConnection::new(id, directory, pid, reactor, subscribed))
            }
            Reply::Failed(failure) => {
                self.reactor.reap(warm.child);
                Err(Error::Start(failure))
            }
            _ => Err(Error::Unexpected("start")),
        }
    }

    /// Makes a user namespace with these maps, and a network namespace in it; or
    /// only that, in the user namespace `user`.
    ///
    /// # Errors
    /// When the kernel makes none.
    pub fn namespaces(
        &self,
        maps: &IdMaps<'_>,
        user: Option<BorrowedFd<'_>>,
    ) -> Result<OwnNamespaces> {
        let warm = self.shared.take()?;
        let made = namespaces::make(&warm, maps, user);
        self.reactor.reap(warm.child);
        self.ask_for_refill();
        made
    }

    /// Connects to the shim of a container that was started before, maybe by
    /// another daemon. `Gone` if nothing is known of it.
    pub fn reconnect(&self, id: &ContainerId) -> Result<Found> {
        leftover::find(&self.shared.exec_root, id, &self.reactor)
    }

    fn start_in_shim(
        &self,
        message: &Request,
        filter: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Warm, Reply)> {
        let operation = "start";
        let mut warm = self.shared.take()?;
        match send(&warm.socket, message, filter, fds) {
            Err(FrameError::Closed) => {
                // It ended while it waited; it has not seen the message.
                self.reactor.reap(warm.child);
                warm = self.shared.spawn()?;
                send(&warm.socket, message, filter, fds).map_err(Error::connection(operation))?;
            }
            other => other.map_err(Error::connection(operation))?,
        }
        let limited = warm.socket.set_read_timeout(Some(PATIENCE));
        limited.map_err(|source| Error::io("prepare", "shim socket", source))?;
        let reply = reply_on(&warm.socket, operation);
        match reply {
            Ok(reply) => Ok((warm, reply)),
            Err(error) => {
                self.reactor.reap(warm.child);
                Err(error)
            }
        }
    }

    /// A thread that is busy refilling looks again anyway.
    fn ask_for_refill(&self) {
        let _ = self.refill.try_send(());
    }
}

impl Drop for ShimPool {
    fn drop(&mut self) {
        self.reactor.stop();
    }
}

impl Shared {
    fn take(&self) -> Result<Warm> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        loop {
            let Some(mut warm) = self.warm().pop() else {
                return self.spawn();
            };
            if warm.is_alive() {
                return Ok(warm);
            }
        }
    }

    fn spawn(&self) -> Result<Warm> {
        let warm = Warm::spawn(&self.program)?;
        if let Some(files) = self.open_files {
            warm.limit_files(files);
        }
        Ok(warm)
    }

    fn keep_full(&self, wanted: &Receiver<()>) {
        while wanted.recv().is_ok() {
            while let Some(rest) = self.rest() {
                if !rest.is_zero() {
                    match wanted.recv_timeout(rest) {
                        Err(RecvTimeoutError::Disconnected) => break,
                        Ok(()) | Err(RecvTimeoutError::Timeout) => continue,
                    }
                }
                match self.spawn() {
                    Ok(warm) => self.warm().push(warm),
                    // The next start tries again, and reports it.
                    Err(_) => break,
                }
            }
        }
        for warm in std::mem::take(&mut *self.warm()) {
            // It ends by itself when its socket closes.
            let _ = warm.dismiss();
        }
    }

    /// How long to wait before the next one is made; `None` when none is missing.
    /// Making one while a container starts would take the processor away from it.
    fn rest(&self) -> Option<Duration> {
        let left = self.warm().len();
        if left >= self.size {
            return None;
        }
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = used.map(|at| PAUSE.saturating_sub(at.elapsed()));
        Some(rest.filter(|_| left > 0).unwrap_or_default())
    }

    fn warm(&self) -> MutexGuard<'_, Vec<Warm>> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
