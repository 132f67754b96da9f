//! From the start message to a running container. What was made is unmade when
//! a later part fails.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use gantry_cgroup::{Cgroup, Resources};
use gantry_logs::Timestamp;
use gantry_runtime::oci::{LinuxNamespaceType, Process, Spec};
use gantry_runtime::seccomp::Filter;
use gantry_runtime::{
    CgroupJoin, Launch, Launched, Rootfs, ScopeError, StartError, Step, UserRequest, spawn_in_scope,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::log::Log;
use super::stdio::{self, Ours, Theirs};
use super::streams::{Manner, Streams};
use crate::files::Directory;
use crate::protocol::{AttachRequest, RuntimeFailure, StartFailure, StartRequest, Status};

/// How long the end of a process that nobody can join any more may take.
const ENDING_PATIENCE: Duration = Duration::from_millis(100);

/// A container that runs, and all that belongs to it.
pub(super) struct Started {
    pub(super) container: Container,
    pub(super) listener: UnixListener,
    pub(super) streams: Streams,
}

/// The facts about a running container.
pub(super) struct Container {
    pub(super) directory: Directory,
    pub(super) cgroup: Cgroup,
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    /// Whether the kernel ends everything when the first process ends.
    pub(super) own_pid_namespace: bool,
    /// Kept so that the container's end is told before its mounts are taken
    /// down, which takes milliseconds: that happens when this process ends.
    pub(super) _mounts: Option<OwnedFd>,
    pub(super) status: Status,
    /// What processes that are added get, unless they bring their own.
    oom_score_adj: i32,
    /// Where output waits for slow clients.
    pub(super) spill: PathBuf,
}

impl Container {
    /// Gives a process that is added what the container's first one has, and
    /// not what this one has.
    pub(super) fn adjust(&self, process: &mut Process) {
        process.oom_score_adj.get_or_insert(self.oom_score_adj);
    }

    /// Whether a process could not be added because the first one ends. While
    /// that ends nobody can join it, and it is not reported to have ended.
    pub(super) fn explains(&self, failure: &StartFailure) -> bool {
        let Some(error) = failure.runtime_error() else {
            return false;
        };
        let joining = matches!(error.step, Step::JoinNamespace | Step::Clone);
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: ENDING_PATIENCE.as_nanos() as i64,
        };
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        joining && poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
    }
}

pub(super) fn start(
    request: StartRequest,
    filter: &[u8],
    fds: Vec<OwnedFd>,
) -> Result<Started, StartFailure> {
    let mut luggage = sort(&request, fds)?;
    let attach = std::mem::take(&mut luggage.attach);
    let filter = self::filter(filter)?;
    let directory = Directory::of(&request.exec_root, &request.id);
    let listener = make_directory(&directory)?;
    let mut undo = Undo::new(directory);
    let resources = resources(&request.spec)?;
    if request.scope.is_none() {
        let made = Cgroup::create(&request.cgroup_parent, request.id.as_str(), &resources);
        undo.cgroup = Some(made.map_err(cgroup_failure)?);
    }
    let log = Log::open(&request.log).map_err(log_failure)?;
    let process = request.spec.process.as_ref();
    let process = process.ok_or_else(|| bad("spec without process"))?;
    let oom_score_adj = process.oom_score_adj.unwrap_or(0);
    let (theirs, mut ours) = make_stdio(process, request.open_stdin)?;
    let plan = plan(&request, &luggage, filter.as_ref(), &theirs);
    let (launched, cgroup) = launch(&request, &plan, undo.cgroup.as_ref(), &resources)?;
    undo.cgroup = Some(cgroup.clone());
    drop(theirs);
    drop(luggage);
    let pid = launched.pid.as_raw_nonzero().get().unsigned_abs();
    if let Some(terminal) = launched.terminal {
        stdio::set_nonblocking(terminal.as_fd()).map_err(prepare("set up the terminal"))?;
        ours.terminal = Some(terminal);
    }
    let status = Status {
        pid,
        shim_pid: std::process::id(),
        cgroup: cgroup.path(),
        scope: cgroup.scope().cloned().map(Box::new),
        started_at: Timestamp::now().rfc3339_nano(),
        paused: false,
        execs: Vec::new(),
    };
    let container = Container {
        directory: undo.disarm(),
        cgroup,
        pid,
        pidfd: launched.pidfd,
        own_pid_namespace: has_own_pid_namespace(&request.spec),
        _mounts: launched.mounts,
        status,
        oom_score_adj,
        spill: request.bundle.clone(),
    };
    let manner = Manner {
        open_stdin: request.open_stdin,
        stdin_once: request.stdin_once,
        log: Some(log),
        spill: request.bundle,
    };
    Ok(Started {
        container,
        listener,
        streams: Streams::new(ours, manner, attach),
    })
}

type Clients = Vec<(AttachRequest, UnixStream)>;

/// The descriptors of a start.
struct Luggage {
    network: Option<OwnedFd>,
    user: Option<OwnedFd>,
    empty_mounts: Option<OwnedFd>,
    attach: Clients,
}

/// Gives each descriptor its meaning.
fn sort(request: &StartRequest, fds: Vec<OwnedFd>) -> Result<Luggage, StartFailure> {
    let mut fds = fds.into_iter();
    let mut next = |expected: bool| match expected {
        true => fds.next().map(Some).ok_or_else(|| bad("namespace missing")),
        false => Ok(None),
    };
    Ok(Luggage {
        network: next(request.network_fd)?,
        user: next(request.user_fd)?,
        empty_mounts: next(request.empty_mounts_fd)?,
        attach: clients(&request.attach, fds)?,
    })
}

/// Each client with its socket.
pub(super) fn clients(
    requests: &[AttachRequest],
    fds: impl ExactSizeIterator<Item = OwnedFd>,
) -> Result<Clients, StartFailure> {
    if fds.len() != requests.len() {
        let what = format!("{} sockets expected, {} came", requests.len(), fds.len());
        return Err(StartFailure::BadRequest(what));
    }
    let sockets = fds.map(UnixStream::from);
    Ok(requests.iter().cloned().zip(sockets).collect())
}

/// The compiled seccomp filter, if there is one.
pub(super) fn filter(bytes: &[u8]) -> Result<Option<Filter>, StartFailure> {
    match bytes {
        [] => Ok(None),
        bytes => Ok(Some(
            Filter::from_bytes(bytes).ok_or_else(|| bad("seccomp filter"))?,
        )),
    }
}

fn make_directory(directory: &Directory) -> Result<UnixListener, StartFailure> {
    let failed = |operation: &'static str| {
        let path = directory.path.clone();
        move |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => StartFailure::AlreadyRunning,
            _ => StartFailure::Prepare {
                operation: operation.to_owned(),
                path,
                errno: error.raw_os_error(),
            },
        }
    };
    directory.make().map_err(failed("mkdir"))?;
    let listener = directory.listen().map_err(failed("listen in"))?;
    listener
        .set_nonblocking(true)
        .map_err(failed("listen in"))?;
    Ok(listener)
}

fn resources(spec: &Spec) -> Result<Resources, StartFailure> {
    let linux = spec.linux.as_ref();
    let oci = linux.and_then(|linux| linux.resources.as_ref());
    let resources = oci.map(Resources::from_oci).transpose();
    Ok(resources.map_err(cgroup_failure)?.unwrap_or_default())
}

/// Pipes, or what a terminal needs.
pub(super) fn make_stdio(
    process: &Process,
    open_stdin: bool,
) -> Result<(Theirs, Ours), StartFailure> {
    if process.terminal {
        let side = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
        let size = process.console_size;
        let size = size.map(|size| (side(size.height), side(size.width)));
        // Zero by zero is how clients say that they do not know yet.
        let size = size.filter(|&size| size != (0, 0));
        return Ok((Theirs::Terminal { size }, Ours::default()));
    }
    stdio::pipes(open_stdin).map_err(prepare("make pipes"))
}

/// The process that is asked for.
fn plan<'a>(
    request: &'a StartRequest,
    luggage: &'a Luggage,
    filter: Option<&'a Filter>,
    stdio: &'a Theirs,
) -> Launch<'a> {
    let user = request.user.as_ref();
    Launch {
        id: request.id.as_str(),
        spec: &request.spec,
        bundle: &request.bundle,
        rootfs: Rootfs::Mount(&request.rootfs),
        scaffold: &request.scaffold,
        scaffold_layer: request.scaffold_layer.as_deref(),
        network: luggage.network.as_ref().map(AsFd::as_fd),
        user_namespace: luggage.user.as_ref().map(AsFd::as_fd),
        empty_mounts: luggage.empty_mounts.as_ref().map(AsFd::as_fd),
        seccomp: filter,
        cgroup: CgroupJoin::Inherit,
        stdio: stdio.stdio(),
        hold: None,
        preserve_fds: 0,
        new_keyring: true,
        no_pivot: false,
        user: user.map(|user| UserRequest {
            user: &user.user,
            groups: &user.groups,
        }),
    }
}

/// Makes the process, inside its cgroup from its first moment, or from before it
/// does anything where systemd makes the cgroup.
fn launch(
    request: &StartRequest,
    plan: &Launch<'_>,
    cgroup: Option<&Cgroup>,
    resources: &Resources,
) -> Result<(Launched, Cgroup), StartFailure> {
    if let Some(scope) = &request.scope {
        return spawn_in_scope(plan, scope, resources).map_err(|error| match error {
            ScopeError::Cgroup(error) => cgroup_failure(error),
            ScopeError::Start(error) => runtime_failure(error),
        });
    }
    let cgroup = cgroup.ok_or_else(|| bad("neither cgroup nor scope"))?;
    let launched = cgroup.birth(|fd| {
        let cgroup = fd.map_or(CgroupJoin::Inherit, CgroupJoin::Unified);
        Launch { cgroup, ..*plan }.spawn()
    });
    let launched = launched.map_err(cgroup_failure)?.map_err(runtime_failure)?;
    Ok((launched, cgroup.clone()))
}

pub(super) fn runtime_failure(error: StartError) -> StartFailure {
    StartFailure::Runtime(RuntimeFailure::from(error))
}

fn has_own_pid_namespace(spec: &Spec) -> bool {
    let mut namespaces = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    namespaces.any(|n| n.kind == LinuxNamespaceType::Pid && n.path.is_none())
}

/// Removes what a failed start has made.
struct Undo {
    directory: Option<Directory>,
    cgroup: Option<Cgroup>,
}

impl Undo {
    fn new(directory: Directory) -> Self {
        Self {
            directory: Some(directory),
            cgroup: None,
        }
    }

    /// All went well: what was made stays.
    fn disarm(mut self) -> Directory {
        self.cgroup = None;
        let directory = self.directory.take();
        directory.unwrap_or_else(|| unreachable!("taken only here, and this consumes the guard"))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            // What stays is replaced by the next start of this container.
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
        if let Some(directory) = &self.directory {
            let _ = directory.remove();
        }
    }
}

pub(super) fn bad(what: &str) -> StartFailure {
    StartFailure::BadRequest(what.to_owned())
}

pub(super) fn prepare(operation: &'static str) -> impl FnOnce(Errno) -> StartFailure {
    move |errno| StartFailure::Prepare {
        operation: operation.to_owned(),
        path: PathBuf::new(),
        errno: Some(errno.raw_os_error()),
    }
}

pub(super) fn cgroup_failure(error: gantry_cgroup::Error) -> StartFailure {
    StartFailure::Cgroup {
        unsupported: error.kind() == gantry_types::ErrorKind::Unsupported,
        errno: error.errno(),
        message: error.to_string(),
    }
}

fn log_failure(error: gantry_logs::Error) -> StartFailure {
    match error {
        gantry_logs::Error::Io {
            operation,
            path,
            source,
        } => StartFailure::Prepare {
            operation: operation.to_owned(),
            path,
            errno: source.raw_os_error(),
        },
        other => StartFailure::Logging(other.to_string()),
    }
}
