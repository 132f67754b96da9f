//! The messages themselves, as plain data.

use std::fmt;
use std::path::PathBuf;

use gantry_cgroup::{Resources, Scope, Stats};
use gantry_logs::Settings;
use gantry_runtime::oci::{Process, Spec};
use gantry_runtime::{Scaffold, StartError, Step};
use gantry_types::{ContainerId, ErrorKind, Mount};
use serde::{Deserialize, Serialize};

/// What a client asks of a shim.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Start the container. Comes with descriptors: a network namespace if
    /// `network_fd`, then one socket for each of `attach`; and with the compiled
    /// seccomp filter as the frame's bytes, if there are any.
    Start(Box<StartRequest>),
    /// Make a user namespace, for which the client writes the maps of this
    /// process, and a network namespace in it. Answered by `Done` when the maps
    /// are wanted; after [`Request::Mapped`] by `Done` with both descriptors, and
    /// this process ends. If a user namespace comes with the request, that one is
    /// entered, and the descriptors are the first answer.
    Namespaces,
    /// The maps are written.
    Mapped,
    /// Send the state now, and events from now on.
    Subscribe,
    /// Send a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// To every process of the container, not to its first one alone.
        everyone: bool,
    },
    /// Change the terminal's size.
    Resize {
        /// Lines.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// Run another process in the container. Comes with one socket for each of
    /// `attach`, and with the compiled seccomp filter as the frame's bytes, if
    /// there is one.
    Exec(Box<ExecRequest>),
    /// Send a signal to such a process.
    SignalExec {
        /// Which.
        exec: String,
        /// The signal's number.
        signal: i32,
    },
    /// Change the size of its terminal.
    ResizeExec {
        /// Which.
        exec: String,
        /// Lines.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// Its end has been recorded elsewhere: leave it out of the status.
    ForgetExec {
        /// Which.
        exec: String,
    },
    /// Connect a client to input and output. Comes with its socket.
    Attach(AttachRequest),
    /// End the container's standard input.
    CloseStdin,
    /// Stop all processes.
    Pause,
    /// Let them go on.
    Resume,
    /// Change limits.
    Update(Box<Resources>),
    /// Measure.
    Stats,
    /// List process ids.
    Processes,
    /// The exit has been recorded elsewhere.
    Acknowledge,
}

/// A container to be started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartRequest {
    /// Its id.
    pub id: ContainerId,
    /// The directory in which the shim makes `<id>/`.
    pub exec_root: PathBuf,
    /// What to run. `process.terminal` says whether there is a terminal, and
    /// `process.consoleSize` its first size. `linux.resources` are the limits;
    /// `linux.cgroupsPath` is not looked at.
    pub spec: Spec,
    /// The bundle directory, for hooks; the container's directory will do.
    pub bundle: PathBuf,
    /// The root file system.
    pub rootfs: Mount,
    /// What it must have.
    pub scaffold: Vec<Scaffold>,
    /// Where that is kept for all containers of an image.
    pub scaffold_layer: Option<PathBuf>,
    /// Who the process is, by names of the root file system's own `passwd` and
    /// `group`; instead of the spec's numbers.
    pub user: Option<User>,
    /// The cgroup to make the container's cgroup in, such as `/gantry`.
    pub cgroup_parent: String,
    /// The scope that systemd is to make for it instead.
    pub scope: Option<Scope>,
    /// Where output is kept.
    pub log: Settings,
    /// Whether standard input is a pipe (or the terminal) that clients can write
    /// to; else it is empty. A terminal is always readable for its program.
    pub open_stdin: bool,
    /// Whether standard input ends when the first client that had it goes.
    pub stdin_once: bool,
    /// Whether the first descriptor is the network namespace to join.
    pub network_fd: bool,
    /// Whether the next descriptor is the user namespace to enter, with the maps
    /// that the spec has.
    pub user_fd: bool,
    /// Whether the next descriptor is an empty mount namespace to begin with. Set
    /// by the pool.
    pub empty_mounts_fd: bool,
    /// Clients that are to see the output from its first byte on.
    pub attach: Vec<AttachRequest>,
}

/// A process to be run in a container that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Its id, which no other of this container has: 64 hexadecimal digits.
    pub exec: String,
    /// What to run; `terminal` and `consoleSize` as for a start.
    pub process: Process,
    /// Who it is, by names of the container's own `passwd` and `group`; instead
    /// of the numbers in `process`.
    pub user: Option<User>,
    /// Whether standard input is what clients write; else it is empty. It ends
    /// when one of them has ended its own.
    pub open_stdin: bool,
    /// Its clients. There are no others later.
    pub attach: Vec<AttachRequest>,
}

/// A user as Docker writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `name`, `uid`, either with `:group` or `:gid`, or empty.
    pub user: String,
    /// Further groups, as names or numbers.
    pub groups: Vec<String>,
}

/// A client to be connected to a container's input and output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// The client's own number for it, which events repeat.
    pub attach: u64,
    /// Whether what the client sends is standard input.
    pub stdin: bool,
    /// Whether it gets standard output.
    pub stdout: bool,
    /// Whether it gets standard error.
    pub stderr: bool,
    /// Input bytes that detach the client, on a terminal. Empty: none do.
    pub detach_keys: Vec<u8>,
}

/// What a shim says to a client.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The answer to the oldest request without one.
    Reply(Reply),
    /// Something happened.
    Event(Event),
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The container, or the process to be added to it, runs.
    Started {
        /// The pid of the process.
        pid: u32,
    },
    /// It does not, and nothing of it is left.
    Failed(StartFailure),
    /// The container's state.
    Status(Status),
    /// Measurements.
    Stats(Box<Stats>),
    /// Process ids, in the host's pid namespace.
    Processes(Vec<u32>),
    /// Done.
    Done,
    /// Not done.
    Refused(Refusal),
}

/// What happened to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Its memory ran out.
    OutOfMemory,
    /// A client detached itself with its keys.
    Detached {
        /// The client's number.
        attach: u64,
    },
    /// A client was too slow for too long and lost its connection.
    Overrun {
        /// The client's number.
        attach: u64,
    },
    /// Output could not be kept in the log, and is lost there; told once until
    /// it can be again. The container does not notice.
    LogFailed {
        /// What happened.
        reason: String,
    },
    /// A process that `Exec` had added has ended; its clients have got what it
    /// wrote and their sockets are closed (one that takes nothing is not waited
    /// for). It may come before the answer to `Exec`. Sent once, before `Exit`.
    ExecExit {
        /// Which.
        exec: String,
        /// As shells count: a signal is 128 more than its number.
        exit_code: i32,
    },
    /// It is over and its output is drained; its cgroup goes now, and is gone
    /// when an `Acknowledge` is answered. Sent once.
    Exit(ExitRecord),
}

/// How a container ended; also the contents of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// As shells count: a signal is 128 more than its number.
    pub exit_code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// Whether the kernel killed something in it for want of memory.
    pub oom_killed: bool,
    /// When, as RFC 3339 with nanoseconds.
    pub finished_at: String,
}

/// The state of a container; also the contents of `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The pid of its first process.
    pub pid: u32,
    /// The pid of its shim.
    pub shim_pid: u32,
    /// The path of its cgroup below each hierarchy's root.
    pub cgroup: String,
    /// The unit, where systemd has made it.
    #[serde(default)]
    pub scope: Option<Box<Scope>>,
    /// When it was started, as RFC 3339 with nanoseconds.
    pub started_at: String,
    /// Whether its processes are stopped.
    pub paused: bool,
    /// Processes that `Exec` has added: those that run, and those that have
    /// ended and were not forgotten yet (of these the newest, if they are very
    /// many). Empty in `state.json`.
    #[serde(default)]
    pub execs: Vec<ExecStatus>,
}

/// A process that was added to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecStatus {
    /// Its id.
    pub exec: String,
    /// Its pid, which may be somebody else's once it has ended.
    pub pid: u32,
    /// How it ended, if it has.
    pub exit_code: Option<i32>,
}

/// A request that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The container is over.
    NotRunning,
    /// A container can be started once.
    AlreadyStarted,
    /// Its processes are stopped.
    Paused,
    /// No process of this id was added to it, or it has ended.
    NoSuchExec,
    /// It has no terminal.
    NoTerminal,
    /// Its standard input is not open.
    NoStdin,
    /// The message made no sense.
    BadRequest(String),
    /// The system refused.
    Failed {
        /// What was tried.
        operation: String,
        /// The system's number, if there is one.
        errno: Option<i32>,
    },
}

impl Refusal {
    /// What the system said to an operation.
    pub(crate) fn failed(operation: &str, errno: rustix::io::Errno) -> Self {
        Self::Failed {
            operation: format!("{operation}: {errno}"),
            errno: Some(errno.raw_os_error()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("container is not running"),
            Self::AlreadyStarted => f.write_str("container is already started"),
            Self::Paused => f.write_str("container is paused"),
            Self::NoSuchExec => f.write_str("no such process was added"),
            Self::NoTerminal => f.write_str("container has no terminal"),
            Self::NoStdin => f.write_str("container's standard input is not open"),
            Self::BadRequest(what) => write!(f, "bad request: {what}"),
            Self::Failed { operation, .. } => f.write_str(operation),
        }
    }
}

/// Why a container did not start. Data: whoever shows it chooses the words by
/// the fields, `Display` is for logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartFailure {
    /// The runtime could not make the process.
    Runtime(RuntimeFailure),
    /// The cgroup could not be made or limited.
    Cgroup {
        /// Whether the request or the machine is to blame.
        unsupported: bool,
        /// What happened.
        message: String,
        /// The kernel's number.
        errno: Option<i32>,
    },
    /// Something that the shim needs could not be made.
    Prepare {
        /// What was tried, as a verb.
        operation: String,
        /// The file, if it is about one.
        path: PathBuf,
        /// The system's number.
        errno: Option<i32>,
    },
    /// A container of this id runs already.
    AlreadyRunning,
    /// The log's service cannot be reached; in the words of Docker's drivers.
    Logging(String),
    /// The message made no sense.
    BadRequest(String),
}

/// [`StartError`] as it crosses the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeFailure {
    /// The number of the [`Step`].
    pub step: u8,
    /// What the kernel said; 0 if it was not the kernel.
    pub errno: i32,
    /// What it was about; may be empty.
    pub path: String,
    /// What was to be mounted; may be empty.
    pub source: String,
    /// More, for people; may be empty.
    pub detail: String,
}

impl From<StartError> for RuntimeFailure {
    fn from(error: StartError) -> Self {
        Self {
            step: error.step as u8,
            errno: error.errno,
            path: error.path,
            source: error.source,
            detail: error.detail,
        }
    }
}

impl StartFailure {
    /// The runtime's own error, if it was the runtime that failed.
    pub fn runtime_error(&self) -> Option<StartError> {
        let Self::Runtime(failure) = self else {
            return None;
        };
        Some(StartError {
            step: Step::from_number(failure.step).unwrap_or(Step::Sync),
            errno: failure.errno,
            path: failure.path.clone(),
            source: failure.source.clone(),
            detail: failure.detail.clone(),
        })
    }

    /// The class of this failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Runtime(_) => self
                .runtime_error()
                .map_or(ErrorKind::Internal, |error| error.kind()),
            Self::Cgroup {
                unsupported: true, ..
            } => ErrorKind::Unsupported,
            Self::Cgroup {
                errno: Some(libc::EINVAL),
                ..
            } => ErrorKind::InvalidArgument,
            Self::AlreadyRunning => ErrorKind::Conflict,
            Self::Cgroup { .. } | Self::Prepare { .. } | Self::Logging(_) | Self::BadRequest(_) => {
                ErrorKind::Internal
            }
        }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(_) => match self.runtime_error() {
                Some(error) => error.fmt(f),
                None => f.write_str("unknown failure"),
            },
            Self::Cgroup { message, .. } => f.write_str(message),
            Self::Prepare {
                operation,
                path,
                errno,
            } => {
                f.write_str(operation)?;
                if !path.as_os_str().is_empty() {
                    write!(f, " {}", path.display())?;
                }
                match errno {
                    Some(errno) => write!(f, ": {}", gantry_runtime::errno_text(*errno)),
                    None => Ok(()),
                }
            }
            Self::AlreadyRunning => f.write_str("container is already running"),
            Self::Logging(what) => write!(f, "failed to initialize logging driver: {what}"),
            Self::BadRequest(what) => write!(f, "bad start request: {what}"),
        }
    }
}
