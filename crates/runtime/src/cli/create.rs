//! `create`, `run` and `start`.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use gantry_cgroup::{Cgroup, Resources};
use gantry_oci::{Spec, State};
use rustix::fs::{Mode, OFlags};

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::foreground::{self, Signals};
use super::store::{self, Container, Record, Status};
use super::{Context, clock, console, manage, process};
use crate::defaults;
use crate::hooks::run_hooks;
use crate::launch::{CgroupJoin, Launch, Launched, Rootfs, Stdio};

/// Options of `create` and `run`.
const OPTIONS: &[Flag] = &[
    Flag::value("bundle", Some('b')),
    Flag::value("console-socket", None),
    Flag::value("pidfd-socket", None),
    Flag::value("pid-file", None),
    Flag::switch("no-pivot", None),
    Flag::switch("no-new-keyring", None),
    Flag::value("preserve-fds", None),
    // Of `run`:
    Flag::switch("detach", Some('d')),
    Flag::switch("keep", None),
    Flag::switch("no-subreaper", None),
];

/// A container about to be made.
struct Plan<'a> {
    args: &'a Arguments,
    id: &'a str,
    bundle: PathBuf,
    spec: Spec,
    spec_text: Vec<u8>,
    console: Option<UnixStream>,
    preserve_fds: u32,
}

/// `create`.
pub(super) fn create(context: &Context, args: Vec<String>) -> Result<i32> {
    let args = Arguments::parse(args, OPTIONS, 1, 1)?;
    let plan = Plan::read(&args, true)?;
    let container = Container::create(context, plan.id)?;
    let made = make(&plan, &container, true);
    keep_or_remove(made, container)?;
    Ok(0)
}

/// `run`.
pub(super) fn run(context: &Context, args: Vec<String>) -> Result<i32> {
    let args = Arguments::parse(args, OPTIONS, 1, 1)?;
    let detach = args.has("detach");
    let plan = Plan::read(&args, detach)?;
    let signals = if detach {
        None
    } else {
        Some(Signals::block()?)
    };
    let container = Container::create(context, plan.id)?;
    let made = make(&plan, &container, false);
    let launched = keep_or_remove(made, container)?;
    after_start(context, plan.id)?;
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
pub(super) fn start(context: &Context, args: Vec<String>) -> Result<i32> {
    let args = Arguments::parse(args, &[], 1, 1)?;
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
    drop(container);
    after_start(context, id)?;
    Ok(0)
}

/// The `poststart` hooks.
fn after_start(context: &Context, id: &str) -> Result<()> {
    let container = Container::open(context, id)?;
    let spec = container.spec()?;
    let Some(hooks) = &spec.hooks else {
        return Ok(());
    };
    let record = container.record()?;
    let state = hook_state(&record, "running");
    run_hooks(&hooks.poststart, &state).map_err(Error::Hook)
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

impl<'a> Plan<'a> {
    fn read(args: &'a Arguments, detached: bool) -> Result<Self> {
        let bundle = Path::new(args.value("bundle").unwrap_or("."));
        let bundle = bundle.canonicalize().map_err(Error::file("open", bundle))?;
        let (mut spec, spec_text) = store::read_spec(&bundle.join("config.json"))?;
        // What read it is not needed again.
        gantry_sys::release_code_pages();
        let terminal = spec.process.as_ref().is_some_and(|p| p.terminal);
        let socket = args.value("console-socket");
        if let Some(text) = terminal_problem(terminal, socket.is_some(), detached) {
            return Err(Error::Usage(text.to_owned()));
        }
        if args.value("pidfd-socket").is_some() {
            return Err(Error::Usage("--pidfd-socket is not supported".to_owned()));
        }
        let listen_fds = pass_listen_fds(&mut spec);
        Ok(Self {
            args,
            id: args.rest()[0].as_str(),
            bundle,
            spec,
            spec_text,
            console: socket.map(console::connect).transpose()?,
            preserve_fds: args.number("preserve-fds")?.saturating_add(listen_fds),
        })
    }

    fn terminal(&self) -> bool {
        self.spec.process.as_ref().is_some_and(|p| p.terminal)
    }

    /// The directory of the root file system.
    fn rootfs(&self) -> Result<PathBuf> {
        let root = self.spec.root.as_ref();
        let root = root.ok_or_else(|| Error::Usage("root must be specified".to_owned()))?;
        let path = self.bundle.join(&root.path);
        path.canonicalize().map_err(Error::file("open", &path))
    }

    /// The cgroup: where the spec says, or beside its like.
    fn cgroup(&self) -> Result<Option<Cgroup>> {
        let linux = self.spec.linux.as_ref();
        let wanted = linux.and_then(|l| l.cgroups_path.as_deref());
        let default = Path::new(gantry_cgroup::DEFAULT_PARENT).join(self.id);
        let path = Path::new("/").join(wanted.unwrap_or(&default));
        if path.to_string_lossy().contains(':') {
            let text = format!(
                "cgroupsPath {}: systemd's form is not supported",
                path.display()
            );
            return Err(Error::Usage(text));
        }
        let given = linux.and_then(|l| l.resources.as_ref());
        let mut oci = given.cloned().unwrap_or_default();
        if !oci.devices.is_empty() {
            oci.devices.extend(defaults::runtime_device_rules());
        }
        let resources = Resources::from_oci(&oci)?;
        let text = |part: Option<&Path>| part.map(|p| p.to_string_lossy().into_owned());
        let parent = text(path.parent()).unwrap_or_else(|| "/".to_owned());
        let name = text(path.file_name().map(Path::new)).unwrap_or_else(|| self.id.to_owned());
        match Cgroup::create(&parent, &name, &resources) {
            Ok(group) => Ok(Some(group)),
            // Without privilege and without limits there need be none.
            Err(_) if given.is_none() && !rustix::process::geteuid().is_root() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is wrong with this combination, in runc's words.
fn terminal_problem(terminal: bool, socket: bool, detached: bool) -> Option<&'static str> {
    match (terminal, socket, detached) {
        (true, false, true) => {
            Some("cannot allocate tty if runc will detach without setting console socket")
        }
        (false, true, true) => {
            Some("cannot use console socket if runc will not detach or allocate tty")
        }
        (_, true, false) => {
            Some("cannot use console socket if runc will not detach or allocate tty")
        }
        _ => None,
    }
}

/// Sockets that our own caller handed us by `LISTEN_FDS` go to the container.
fn pass_listen_fds(spec: &mut Spec) -> u32 {
    let count = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let Some(count @ 1..) = count else {
        return 0;
    };
    if let Some(process) = &mut spec.process {
        let more = [format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()];
        process.env.extend(more);
    }
    count
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
    container.save_spec(&plan.spec_text)?;
    let hold = if hold {
        Some(make_fifo(container)?)
    } else {
        None
    };
    let cgroup = plan.cgroup()?;
    let launched = launch(plan, &rootfs, cgroup.as_ref(), hold.as_ref()).and_then(|launched| {
        match note(plan, container, &rootfs, cgroup.as_ref(), &launched) {
            Ok(()) => Ok(launched),
            Err(error) => {
                let _ = gantry_sys::pidfd_send_signal(&launched.pidfd, libc::SIGKILL);
                let _ = gantry_sys::wait_pidfd(&launched.pidfd, true);
                Err(error)
            }
        }
    });
    if let (Err(_), Some(group)) = (&launched, &cgroup) {
        let _ = group.remove();
    }
    launched
}

fn launch(
    plan: &Plan<'_>,
    rootfs: &Path,
    cgroup: Option<&Cgroup>,
    hold: Option<&OwnedFd>,
) -> Result<Launched> {
    let size = plan.spec.process.as_ref().and_then(|p| p.console_size);
    let size = size.map(|s| (s.height as u16, s.width as u16));
    let launch = Launch {
        id: plan.id,
        spec: &plan.spec,
        bundle: &plan.bundle,
        rootfs: Rootfs::Path(rootfs),
        scaffold: &[],
        scaffold_layer: None,
        network: None,
        empty_mounts: None,
        seccomp: None,
        cgroup: CgroupJoin::Inherit,
        stdio: match plan.terminal() {
            true => Stdio::Terminal {
                size: size.or_else(console::own_size),
            },
            false => Stdio::Inherit,
        },
        hold: hold.map(AsFd::as_fd),
        preserve_fds: plan.preserve_fds,
        new_keyring: !plan.args.has("no-new-keyring"),
        no_pivot: plan.args.has("no-pivot"),
        user: None,
    };
    // Nor what made the cgroup.
    gantry_sys::release_code_pages();
    let spawned = match cgroup {
        None => launch.spawn(),
        Some(group) => {
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
    spawned.map_err(Error::Start)
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
