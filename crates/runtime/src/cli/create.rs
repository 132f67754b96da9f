//! `create`, `run` and `start`.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gantry_cgroup::Cgroup;
use gantry_oci::{Spec, State};
use rustix::fs::{Mode, OFlags};

use super::ahead::Ahead;
use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::foreground::{self, Signals};
use super::plan::{Place, Plan};
use super::store::{self, Container, Record, Status};
use super::{Context, clock, console, manage, process};
use crate::hooks::{HookPoint, run_all_hooks};
use crate::launch::{CgroupJoin, Launch, Launched, Rootfs, Stdio};
use crate::scope::{ScopeError, spawn_in_scope};

/// Options of `create`.
pub(super) const OPTIONS: &[Flag] = &COMMON;

/// Options of `run`: the same, and how it stays there.
pub(super) const RUN_OPTIONS: &[Flag] = &[
    COMMON[0],
    COMMON[1],
    COMMON[2],
    COMMON[3],
    COMMON[4],
    COMMON[5],
    COMMON[6],
    Flag::switch("detach", Some('d'), "return once the program runs"),
    Flag::switch(
        "keep",
        None,
        "keep the container when its program has ended",
    ),
    Flag::switch("no-subreaper", None, ""),
];

const COMMON: [Flag; 7] = [
    Flag::value("bundle", Some('b'), "where config.json is; else here"),
    Flag::value(
        "console-socket",
        None,
        "a socket that is given the terminal's other side",
    ),
    Flag::value(
        "pidfd-socket",
        None,
        "a socket that is given a handle of the first process",
    ),
    Flag::value("pid-file", None, "a file for the first process' id"),
    Flag::switch("no-pivot", None, "chroot in place of pivot_root: weaker"),
    Flag::switch("no-new-keyring", None, "keep the caller's session keyring"),
    Flag::value(
        "preserve-fds",
        None,
        "how many descriptors after standard error are passed on",
    ),
];

/// `create`.
pub(super) fn create(context: &Context, args: &Arguments) -> Result<i32> {
    let made = || -> Result<()> {
        let plan = Plan::read(context, args, true)?;
        let container = Container::create(context, plan.id)?;
        let made = make(&plan, &container, true);
        keep_or_remove(made, container).map(drop)
    };
    made().map_err(|error| error.of_command("create"))?;
    Ok(0)
}

/// `run`.
pub(super) fn run(context: &Context, args: &Arguments) -> Result<i32> {
    run_to_end(context, args).map_err(|error| error.of_command("run"))
}

fn run_to_end(context: &Context, args: &Arguments) -> Result<i32> {
    let detach = args.has("detach");
    let plan = Plan::read(context, args, detach)?;
    let signals = if detach {
        None
    } else {
        Some(Signals::block()?)
    };
    let container = Container::create(context, plan.id)?;
    let made = make(&plan, &container, false);
    let launched = keep_or_remove(made, container)?;
    poststart(context, plan.id, &plan.spec)?;
    let Some(signals) = signals else {
        return Ok(0);
    };
    let code = foreground::attend(&launched, &signals)?;
    if !args.has("keep") {
        manage::destroy(context, plan.id)?;
    }
    Ok(code)
}

/// `start`.
pub(super) fn start(context: &Context, args: &Arguments) -> Result<i32> {
    let id = args.rest()[0].as_str();
    let container = Container::open(context, id)?;
    let record = container.record()?;
    match store::status(context, &record) {
        Status::Created => {}
        Status::Stopped => {
            return Err(Error::State(
                "cannot start a container that has stopped".to_owned(),
            ));
        }
        Status::Running | Status::Paused => {
            let text = "cannot start an already running container";
            return Err(Error::State(text.to_owned()));
        }
    }
    let fifo = container.fifo();
    std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(&fifo)
        .and_then(|mut file| file.write_all(&[0]))
        .map_err(Error::file("open", &fifo))?;
    std::fs::remove_file(&fifo).map_err(Error::file("remove", &fifo))?;
    let spec = container.spec()?;
    drop(container);
    poststart(context, id, &spec)?;
    Ok(0)
}

/// The `poststart` hooks.
fn poststart(context: &Context, id: &str, spec: &Spec) -> Result<()> {
    let Some(hooks) = spec
        .hooks
        .as_ref()
        .filter(|hooks| !hooks.poststart.is_empty())
    else {
        return Ok(());
    };
    let state = hook_state(&store::look(context, id)?, "running");
    warn_of(context, run_all_hooks(HookPoint::Poststart, hooks, &state));
    Ok(())
}

/// What hooks do once the program runs, or is gone, changes nothing any more.
pub(super) fn warn_of(context: &Context, failures: Vec<crate::StartError>) {
    for failure in failures {
        context.log.warn(&failure.to_string());
    }
}

/// The state document that hooks get.
pub(super) fn hook_state(record: &Record, status: &str) -> State {
    State {
        oci_version: record.oci_version.clone(),
        id: record.id.clone(),
        status: status.to_owned(),
        pid: record.pid,
        bundle: record.bundle.clone(),
        annotations: record.annotations.clone(),
    }
}

/// On failure the directory goes again.
fn keep_or_remove(made: Result<Launched>, container: Container) -> Result<Launched> {
    match made {
        Ok(launched) => Ok(launched),
        Err(error) => {
            // The failure itself is what matters.
            let _ = container.remove();
            Err(error)
        }
    }
}

/// Makes cgroup and process, and writes everything down.
fn make(plan: &Plan<'_>, container: &Container, hold: bool) -> Result<Launched> {
    let rootfs = plan.rootfs()?;
    let network = Ahead::begin(&plan.spec);
    container.save_spec(&plan.spec_text)?;
    let hold = if hold {
        Some(make_fifo(container)?)
    } else {
        None
    };
    let place = plan.place()?;
    let network = network.take();
    let given = Given {
        rootfs: &rootfs,
        network: network.as_ref().map(AsFd::as_fd),
        hold: hold.as_ref().map(AsFd::as_fd),
    };
    let (launched, group) = match launch(plan, given, &place) {
        Ok((launched, scope)) => (launched, scope.or(place.group().cloned())),
        Err(error) => {
            if let Some(group) = place.group() {
                let _ = group.remove();
            }
            return Err(error);
        }
    };
    match note(plan, container, &rootfs, group.as_ref(), &launched) {
        Ok(()) => Ok(launched),
        Err(error) => {
            let _ = gantry_sys::pidfd_send_signal(&launched.pidfd, libc::SIGKILL);
            let _ = gantry_sys::wait_pidfd(&launched.pidfd, true);
            if let Some(group) = &group {
                let _ = group.remove();
            }
            Err(error)
        }
    }
}

/// What the process is given.
struct Given<'a> {
    rootfs: &'a Path,
    network: Option<BorrowedFd<'a>>,
    hold: Option<BorrowedFd<'a>>,
}

fn launch(plan: &Plan<'_>, given: Given<'_>, place: &Place) -> Result<(Launched, Option<Cgroup>)> {
    let size = plan.spec.process.as_ref().and_then(|p| p.console_size);
    let size = size.map(|s| (s.height as u16, s.width as u16));
    let launch = Launch {
        user_namespace: None,
        id: plan.id,
        spec: &plan.spec,
        bundle: &plan.bundle,
        rootfs: Rootfs::Path(given.rootfs),
        scaffold: &[],
        scaffold_layer: None,
        network: given.network,
        empty_mounts: None,
        seccomp: None,
        cgroup: CgroupJoin::Inherit,
        stdio: match plan.terminal() {
            true => Stdio::Terminal {
                size: size.or_else(console::own_size),
                plain_lines: plan.console.is_none(),
            },
            false => Stdio::Inherit,
        },
        hold: given.hold,
        preserve_fds: plan.preserve_fds,
        new_keyring: !plan.args.has("no-new-keyring"),
        no_pivot: plan.args.has("no-pivot"),
        user: None,
    };
    // Nor what made the cgroup.
    gantry_sys::release_code_pages();
    let spawned = match place {
        Place::Here => launch.spawn(),
        Place::Scope(scope, resources) => {
            return match spawn_in_scope(&launch, scope, resources) {
                Ok((launched, group)) => Ok((launched, Some(group))),
                Err(ScopeError::Cgroup(error)) => Err(error.into()),
                Err(ScopeError::Start(error)) => Err(Error::Start(error)),
            };
        }
        Place::Group(group) => {
            // Born in its cgroup: the closure runs where children get there.
            let spawn = |fd: Option<BorrowedFd<'_>>| {
                let mut launch = Launch { ..launch };
                if let Some(fd) = fd {
                    launch.cgroup = CgroupJoin::Unified(fd);
                }
                launch.spawn()
            };
            group.birth(spawn)?
        }
    };
    let launched = spawned.map_err(Error::Start)?;
    Ok((launched, None))
}

/// Terminal, state and pid file.
fn note(
    plan: &Plan<'_>,
    container: &Container,
    rootfs: &Path,
    cgroup: Option<&Cgroup>,
    launched: &Launched,
) -> Result<()> {
    if let (Some(socket), Some(master)) = (&plan.console, &launched.terminal) {
        console::send(socket, master.as_fd())?;
    }
    if let Some(socket) = &plan.pidfd {
        console::send_pidfd(socket, launched.pidfd.as_fd(), "standard")?;
    }
    let pid = launched.pid.as_raw_nonzero().get();
    let identity = process::identify(pid);
    container.save(&Record {
        oci_version: plan.spec.version.clone(),
        id: plan.id.to_owned(),
        pid,
        start_time: identity.map_or(0, |it| it.start_time),
        bundle: plan.bundle.clone(),
        rootfs: rootfs.to_path_buf(),
        created: clock::rfc3339(clock::now(), true),
        owner: String::new(),
        cgroup: cgroup.map(Cgroup::path),
        scope: cgroup.and_then(Cgroup::scope).cloned(),
        annotations: plan.spec.annotations.clone(),
    })?;
    match plan.args.value("pid-file") {
        Some(path) => store::write_whole(Path::new(path), pid.to_string().as_bytes()),
        None => Ok(()),
    }
}

/// The FIFO on which the process waits: opened for both ways, so that neither
/// side ever waits at `open`.
fn make_fifo(container: &Container) -> Result<OwnedFd> {
    let path = container.fifo();
    let fail = |errno: rustix::io::Errno| Error::file("mkfifo", &path)(errno.into());
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).map_err(fail)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(&path, flags, Mode::empty()).map_err(fail)
}
