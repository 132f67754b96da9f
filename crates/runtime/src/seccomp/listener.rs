//! Somebody who decides about system calls: the filter's listener is taken from
//! the process and given to a socket, with the state of the container.
//!
//! The process cannot send it: it is under the filter as soon as there is a
//! listener, and whoever is to decide does not have it yet.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use gantry_oci::{Spec, State};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdGetfdFlags};
use serde::Serialize;

use crate::error::{StartError, Step};

/// How often the process is looked at, and how long between.
const TRIES: u32 = 5000;
const PAUSE: Duration = Duration::from_millis(1);

/// What the kernel calls such a descriptor.
const NAME: &str = "anon_inode:seccomp notify";

/// Who is to decide.
#[derive(Debug, Clone)]
pub struct Listener {
    /// A stream socket.
    pub path: PathBuf,
    /// Words for them; may be empty.
    pub metadata: String,
    /// The container.
    pub state: State,
}

/// The specification's document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: &'a State,
}

impl Listener {
    /// Whom the spec names, if it does.
    pub fn of_spec(spec: &Spec, state: impl FnOnce() -> State) -> Option<Self> {
        let seccomp = spec.linux.as_ref()?.seccomp.as_ref()?;
        let path = seccomp.listener_path.as_deref()?;
        Some(Self {
            path: PathBuf::from(path),
            metadata: seccomp.listener_metadata.clone().unwrap_or_default(),
            state: state(),
        })
    }

    /// Takes the listener that the process is about to have at `number`, and
    /// hands it over.
    pub(crate) fn hand_over(
        &self,
        pid: Pid,
        pidfd: BorrowedFd<'_>,
        number: i32,
    ) -> Result<(), StartError> {
        let listener = taken(pidfd, number).map_err(|e| fail(self, "pidfd_getfd", e))?;
        let document = ContainerProcessState {
            oci_version: &self.state.oci_version,
            fds: ["seccompFd"],
            pid: pid.as_raw_nonzero().get(),
            metadata: &self.metadata,
            state: &self.state,
        };
        let text = serde_json::to_vec(&document)
            .map_err(|e| StartError::other(Step::Seccomp, "", e.to_string()))?;
        let socket = UnixStream::connect(&self.path).map_err(|e| {
            fail(
                self,
                "connect",
                Errno::from_io_error(&e).unwrap_or(Errno::IO),
            )
        })?;
        // The descriptor goes with the first byte.
        let mut sent = gantry_sys::send_with_fds(&socket, &text, &[listener.as_fd()])
            .map_err(|e| fail(self, "send", e))?;
        while sent < text.len() {
            sent += gantry_sys::send_with_fds(&socket, &text[sent..], &[])
                .map_err(|e| fail(self, "send", e))?;
        }
        Ok(())
    }
}

fn fail(listener: &Listener, what: &str, errno: Errno) -> StartError {
    StartError::new(Step::Seccomp, errno, listener.path.to_string_lossy()).with_detail(what)
}

fn taken(pidfd: BorrowedFd<'_>, number: i32) -> rustix::io::Result<OwnedFd> {
    for _ in 0..TRIES {
        match rustix::process::pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()) {
            Ok(fd) if is_listener(&fd) => return Ok(fd),
            // Not yet.
            Ok(_) | Err(Errno::BADF) => std::thread::sleep(PAUSE),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::TIMEDOUT)
}

fn is_listener(fd: &OwnedFd) -> bool {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    std::fs::read_link(link).is_ok_and(|text| text.as_os_str() == NAME)
}
