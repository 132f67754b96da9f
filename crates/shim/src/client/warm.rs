//! A shim that waits for its container.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, getrlimit, prlimit};

use super::error::{Error, Result};

/// For its C library: no memory is kept for threads and small objects to come.
const TUNABLES: &str = "glibc.pthread.stack_cache_size=0:glibc.malloc.tcache_count=0";

/// A started shim and the socket that is its standard input.
#[derive(Debug)]
pub(super) struct Warm {
    pub(super) socket: UnixStream,
    pub(super) child: Child,
}

impl Warm {
    /// Starts one. `program` is a descriptor of the executable (a sealed memfd).
    /// Nothing runs between fork and exec (the shim itself goes to `/`), so the C
    /// library may use its fast `posix_spawn`, which copies nothing of this process.
    pub(super) fn spawn(program: &OwnedFd) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().map_err(Error::Spawn)?;
        let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("gantry-shim")
            .arg("0")
            .env_clear()
            .env("GLIBC_TUNABLES", TUNABLES)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::Spawn)?;
        Ok(Self {
            socket: ours,
            child,
        })
    }

    /// Sets how many files it may have open, before it starts anything. A limit
    /// that cannot be set stays what it is.
    pub(super) fn limit_files(&self, files: u64) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(files);
        let _ = prlimit(pid, Resource::Nofile, limit);
    }

    /// Whether it has not ended while it waited.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Tells it that there will be no container, and waits for its end.
    pub(super) fn dismiss(self) -> io::Result<()> {
        let Self { socket, mut child } = self;
        drop(socket);
        child.wait().map(drop)
    }
}
