//! The child's way from `clone3` to `execve`.
//!
//! ```text
//! signals, stdio ─ born? ─ namespaces ─ host name, sysctls, keyring
//!   ─ rootfs attached ─ mounts ─ devices ─ hooks? ─ terminal ─ hidden paths ─ pivot_root
//!   ─ limits ─ user, groups ─ hold? ─ capabilities, no_new_privs, seccomp ─ execve
//! ```
//!
//! Everything before `pivot_root` sees the host's paths, and touches the
//! container's only through the root's handle. The first error ends the child:
//! it is sent to the parent as data.

mod attributes;
mod cgroup_mount;
mod copy_up;
mod credentials;
mod devices;
mod hidden;
mod mounts;
mod overlay;
mod rootfs;
mod scaffold;
mod scheduling;
mod sources;
mod stdio;
mod system_mounts;
mod terminal;
mod user;
mod userns;

pub(crate) use attributes::limit;
pub(crate) use mounts::new_filesystem;
pub use rootfs::detached_root;
pub(crate) use scheduling::is_list as is_processor_list;
pub use user::check_user;
#[cfg(fuzzing)]
pub use user::look_up;

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantry_oci::{Process, State};
use gantry_sys::CloneFlags;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::Pid;

use crate::channel::Child;
use crate::error::errno_text;
use crate::error::{StartError, Step};
use crate::exec::Exec;
use crate::hooks::{self, HookPoint, run_hooks, run_with};
use crate::idmap::Prepared;
use crate::launch::{CgroupJoin, Launch, Stdio};
use crate::namespaces::{self, Namespaces};
use crate::program::Program;
use crate::seccomp::Filter;

/// All that the child of a [`Launch`] needs, prepared by the parent.
pub(crate) struct ChildPlan<'a> {
    pub launch: &'a Launch<'a>,
    pub process: &'a Process,
    pub program: &'a Program,
    pub namespaces: &'a Namespaces<'a>,
    pub idmapped: &'a Prepared,
    pub seccomp: Option<&'a Filter>,
}

/// All that the child of an [`Exec`] needs.
pub(crate) struct ExecPlan<'a> {
    pub exec: &'a Exec<'a>,
    pub program: &'a Program,
    pub target: BorrowedFd<'a>,
    pub kinds: CloneFlags,
}

/// Becomes the container's first process. Does not return.
pub(crate) fn run_init(plan: &ChildPlan<'_>, channel: Child) -> ! {
    end(init(plan, &channel), &channel)
}

/// Becomes another process of a container. Does not return.
pub(crate) fn run_exec(plan: &ExecPlan<'_>, channel: Child) -> ! {
    end(exec(plan, &channel), &channel)
}

fn end(result: Result<Infallible, StartError>, channel: &Child) -> ! {
    match result {
        Ok(never) => match never {},
        Err(error) if error.step == Step::Exec => refused(&error),
        Err(error) => channel.failed(&error),
    }
    gantry_sys::exit_now(1)
}

/// Ends as runc's processes do whose program was found and is then refused by
/// the kernel (no interpreter, no known format, too many arguments): for all
/// others the start has succeeded.
fn refused(error: &StartError) -> ! {
    let why = format!("exec {}: {}\n", error.path, errno_text(error.errno));
    // A process without standard error says it to nobody.
    let _ = rustix::io::write(rustix::stdio::stderr(), why.as_bytes());
    gantry_sys::exit_now(255)
}

/// Turns an errno into an error of `step` about `path`.
fn at(step: Step, path: impl Into<String>) -> impl FnOnce(Errno) -> StartError {
    move |errno| StartError::new(step, errno, path)
}

/// Turns an error of a rooted path into an error of `step` about `path`.
fn rooted(step: Step, path: &str) -> impl FnOnce(gantry_sys::Error) -> StartError {
    let path = path.to_owned();
    move |error| StartError::new(step, error.errno, path).with_detail(error.operation)
}

fn init(plan: &ChildPlan<'_>, channel: &Child) -> Result<Infallible, StartError> {
    let launch = plan.launch;
    let spec = launch.spec;
    gantry_sys::reset_signals();
    rustix::process::umask(Mode::empty());
    stdio::redirect(launch.stdio)?;
    if let Some(user) = &plan.namespaces.user {
        return userns::init(plan, user.as_fd(), channel);
    }
    let userns = plan.namespaces.has_user();
    if userns || matches!(launch.cgroup, CgroupJoin::Attach(_)) {
        channel.born()?;
    }
    attributes::unshare_time(plan.namespaces, spec)?;
    if userns {
        credentials::become_root()?;
    }
    // Fails only for a group leader, which a forked child is not.
    let _ = rustix::process::setsid();
    plan.namespaces.join()?;
    attributes::unshare_late(plan.namespaces)?;
    attributes::before_mounts(launch)?;
    // In a user namespace our parent has set the score.
    let score = plan.process.oom_score_adj.filter(|_| !userns);
    attributes::oom_and_label(score, plan.process)?;

    let empty = plan.namespaces.empty;
    if empty.is_none() {
        rootfs::isolate(launch)?;
    }
    // The root first: mounts are listed in the order in which they are made.
    let (tree, scaffolded) = rootfs::detached(launch)?;
    let sources = sources::take(spec, plan.namespaces, plan.idmapped, empty.is_some())?;
    if let Some(empty) = empty {
        rootfs::leave_host(&tree, empty, channel)?;
    }
    let taken = Taken {
        tree,
        scaffolded,
        sources,
    };
    furnish(plan, channel, taken)
}

/// What is taken of the host before the container's own view is made.
struct Taken {
    /// The root file system, attached nowhere.
    tree: OwnedFd,
    /// Whether it has its scaffold.
    scaffolded: bool,
    sources: sources::Sources,
}

/// The way from a mount namespace of its own to the program.
fn furnish(
    plan: &ChildPlan<'_>,
    channel: &Child,
    mut taken: Taken,
) -> Result<Infallible, StartError> {
    let launch = plan.launch;
    let spec = launch.spec;
    let root = rootfs::attach(taken.tree)?;
    if !taken.scaffolded {
        scaffold::build(&root, launch.scaffold)?;
    }
    let mut made = mounts::make_all(&root, spec, &mut taken.sources)?;
    if made.setup_dev {
        devices::make_all(&root, spec, plan.namespaces.has_user())?;
    }
    run_create_hooks(plan, channel)?;
    if let Stdio::Terminal { size, plain_lines } = launch.stdio {
        let console = made.setup_dev.then_some(&root);
        terminal::of_root(&root, console, size, plain_lines, channel)?;
    }
    make_working_directory(&root, plan.process);
    made.close()?;
    hidden::apply(&root, &made.system, spec)?;
    drop(made);
    rootfs::finish(launch, root, plan.namespaces.empty.is_some())?;
    scheduling::all_processors();
    if plan.namespaces.user.is_some() {
        // Raising them needs powers outside of it.
        channel.limits()?;
    } else {
        attributes::limits(plan.process)?;
        scheduling::apply(plan.process)?;
    }
    become_program(plan, channel)
}

fn become_program(plan: &ChildPlan<'_>, channel: &Child) -> Result<Infallible, StartError> {
    let launch = plan.launch;
    let keep = [Some(channel.as_fd()), launch.hold];
    let_go(launch.preserve_fds, keep.into_iter().flatten())?;
    let user = user::resolve(launch.user.as_ref(), plan.process)?;
    let ready = credentials::Ready {
        process: plan.process,
        user: &user,
        seccomp: plan.seccomp,
        preserve_fds: launch.preserve_fds,
        program: plan.program,
    };
    let found = ready.prepare()?;
    ready.install_listened(channel)?;
    if let Some(hold) = launch.hold {
        channel.holding()?;
        wait_for_start(hold)?;
    }
    ready.execute(&found, || {
        let Some(hooks) = &launch.spec.hooks else {
            return Ok(());
        };
        let (state, environment) = (hook_state(launch, "created"), found.environment());
        run_with(HookPoint::StartContainer, hooks, &state, Some(&environment))
    })
}

fn exec(plan: &ExecPlan<'_>, channel: &Child) -> Result<Infallible, StartError> {
    let exec = plan.exec;
    gantry_sys::reset_signals();
    // The container's processes see this one before it has given up its powers.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(at(Step::Attributes, "dumpable"))?;
    rustix::process::umask(Mode::empty());
    stdio::redirect(exec.stdio)?;
    if matches!(exec.cgroup, CgroupJoin::Attach(_)) {
        channel.born()?;
    }
    let _ = rustix::process::setsid();
    let affinity = exec.process.exec_cpu_affinity.as_ref();
    scheduling::before_join(affinity)?;
    attributes::oom_and_label(exec.process.oom_score_adj, exec.process)?;
    // Its pid namespace was joined by our parent: we were born in it.
    let kinds = CloneFlags(plan.kinds.0 & !CloneFlags::NEWPID.0);
    let userns = kinds.contains(CloneFlags::NEWUSER);
    if userns {
        // In there limits cannot be raised, nor foreign files be given away.
        attributes::limits(exec.process)?;
        if let Some((uid, gid)) = namespaces::root_of(exec.target) {
            stdio::give_to(uid, Some(gid))?;
        }
    }
    gantry_sys::setns_pidfd(plan.target, kinds).map_err(at(Step::JoinNamespace, ""))?;
    match userns {
        true => credentials::become_root()?,
        false => attributes::limits(exec.process)?,
    }
    attributes::personality(exec.personality)?;
    scheduling::after_join(affinity)?;
    scheduling::apply(exec.process)?;
    if let Stdio::Terminal { size, plain_lines } = exec.stdio {
        terminal::of_container(size, plain_lines, channel)?;
    }
    let_go(exec.preserve_fds, [channel.as_fd()])?;
    let user = user::resolve(exec.user.as_ref(), exec.process)?;
    let ready = credentials::Ready {
        process: exec.process,
        user: &user,
        seccomp: exec.seccomp,
        preserve_fds: exec.preserve_fds,
        program: plan.program,
    };
    let found = ready.prepare()?;
    ready.install_listened(channel)?;
    ready.execute(&found, || Ok(()))
}

/// `createRuntime` in the parent, then `createContainer` here, before the pivot.
fn run_create_hooks(plan: &ChildPlan<'_>, channel: &Child) -> Result<(), StartError> {
    let Some(hooks) = &plan.launch.spec.hooks else {
        return Ok(());
    };
    channel.hooks()?;
    let state = hook_state(plan.launch, "creating");
    run_hooks(HookPoint::CreateContainer, hooks, &state)
}

fn hook_state(launch: &Launch<'_>, status: &str) -> State {
    let me: Pid = rustix::process::getpid();
    hooks::state(status, launch.id, launch.spec, launch.bundle, me)
}

/// Makes the working directory if it is missing. If that cannot be, the later
/// `chdir` says why.
fn make_working_directory(root: &gantry_sys::RootDir, process: &Process) {
    let _ = root.mkdir_all(&process.cwd, Mode::from_raw_mode(0o755));
}

/// Closes what our parent had open. Some of it are directories of the host, to which
/// a working directory of `/proc/self/fd/N` would lead (CVE-2024-21626); and while
/// this process waits its parent may end, whose locks and connections end with it.
#[allow(unsafe_code, reason = "closing descriptors of our parent's copy")]
fn let_go<'a>(
    preserve: u32,
    keep: impl IntoIterator<Item = BorrowedFd<'a>>,
) -> Result<(), StartError> {
    let keep: Vec<_> = keep.into_iter().collect();
    // SAFETY: this process will only exec or exit; what it uses until then is kept.
    unsafe { gantry_sys::close_all_but(3 + preserve, &keep) }
        .map_err(at(Step::Stdio, "close_range"))
}

/// Signals that end a process which has no say in it. The first one of a pid
/// namespace would not see them.
const ENDING: [i32; 6] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// Waits for the byte that OCI's `start` writes; ends when it is told to.
fn wait_for_start(hold: BorrowedFd<'_>) -> Result<(), StartError> {
    let fail = |errno| StartError::new(Step::Sync, errno, "hold");
    let signals = gantry_sys::signal_fd(&ENDING).map_err(fail)?;
    let mut byte = [0];
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(hold, PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        match rustix::event::poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.map_err(fail)?,
        };
        if !fds[1].revents().is_empty() {
            gantry_sys::exit_now(2);
        }
        match rustix::io::read(hold, &mut byte) {
            Ok(1) => break,
            Ok(_) => return Err(fail(Errno::PIPE)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fail(errno)),
        }
    }
    drop(signals);
    gantry_sys::reset_signals();
    Ok(())
}
