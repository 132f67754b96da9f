//! `exec`.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use gantry_oci::{LinuxCapabilities, Process, Spec, User};
use rustix::process::Pid;

use super::args::{Arguments, Option as Flag};
use super::create::hook_state;
use super::error::{Error, Result};
use super::foreground::{self, Signals};
use super::place::Place;
use super::store::{self, Container, Status};
use super::{Context, console};
use crate::capability::CapabilityMask;
use crate::exec::Exec;
use crate::launch::{CgroupJoin, Stdio};
use crate::seccomp::{self, Listener};

/// Options of `exec`.
pub(super) const OPTIONS: &[Flag] = &[
    Flag::switch("tty", Some('t'), "give it a terminal"),
    Flag::switch("detach", Some('d'), "return once the program runs"),
    Flag::value("process", Some('p'), "a file that describes the process"),
    Flag::value("cwd", None, "its working directory"),
    Flag::value("env", Some('e'), "a variable of its environment"),
    Flag::value("user", Some('u'), "who it is: UID[:GID]"),
    Flag::value("additional-gids", Some('g'), "a further group"),
    Flag::value("cap", Some('c'), "a further capability"),
    Flag::switch("no-new-privs", None, "it can never get more rights"),
    Flag::value("pid-file", None, "a file for its id"),
    Flag::value(
        "console-socket",
        None,
        "a socket that is given the terminal's other side",
    ),
    Flag::value(
        "pidfd-socket",
        None,
        "a socket that is given a handle of it",
    ),
    Flag::value(
        "cgroup",
        None,
        "a cgroup below the container's: [CONTROLLER[,...]:]PATH",
    ),
    Flag::value("apparmor", None, "its AppArmor profile"),
    Flag::value("process-label", None, "its SELinux label"),
    Flag::value(
        "preserve-fds",
        None,
        "how many descriptors after standard error are passed on",
    ),
    Flag::switch("ignore-paused", None, "also in a paused container"),
    Flag::switch("no-subreaper", None, ""),
];

/// `exec`.
pub(super) fn exec(context: &Context, args: &Arguments) -> Result<i32> {
    add(context, args).map_err(Error::in_exec)
}

fn add(context: &Context, args: &Arguments) -> Result<i32> {
    let container = Container::open(context, &args.rest()[0])?;
    let record = container.record()?;
    let state = |text: &str| Err(Error::State(text.to_owned()));
    match store::status(context, &record) {
        Status::Stopped => return state("cannot exec in a stopped container"),
        Status::Paused if !args.has("ignore-paused") => {
            return state("cannot exec in a paused container (use --ignore-paused to override)");
        }
        _ => {}
    }
    let spec = container.spec()?;
    drop(container);
    let process = wanted_process(args, &spec)?;
    let detach = args.has("detach");
    let terminal = process.terminal;
    let socket = args
        .value("console-socket")
        .map(console::connect)
        .transpose()?;
    if terminal && detach && socket.is_none() {
        let text = "cannot allocate tty if runc will detach without setting console socket";
        return Err(Error::Usage(text.to_owned()));
    }
    let pidfd = args
        .value("pidfd-socket")
        .map(console::connect)
        .transpose()?;
    let signals = if detach {
        None
    } else {
        Some(Signals::block()?)
    };
    let seccomp = spec.linux.as_ref().and_then(|l| l.seccomp.as_ref());
    let filter = seccomp
        .map(seccomp::compile)
        .transpose()
        .map_err(Error::Exec)?;
    let listener = Listener::of_spec(&spec, || hook_state(&record, "running"));
    let place = Place::wanted(args, record.cgroup.as_deref())?;
    let launched = place.spawn(Exec {
        target: Pid::from_raw(record.pid).ok_or_else(gone)?,
        process: &process,
        seccomp: filter.as_ref(),
        listener: listener.as_ref(),
        cgroup: CgroupJoin::Inherit,
        stdio: stdio(args, &process),
        preserve_fds: args.number("preserve-fds")?,
        personality: spec.linux.as_ref().and_then(|l| l.personality.as_ref()),
        user: None,
    })?;
    if let (Some(socket), Some(master)) = (&socket, &launched.terminal) {
        console::send(socket, master.as_fd())?;
    }
    if let Some(socket) = &pidfd {
        console::send_pidfd(socket, launched.pidfd.as_fd(), "setns")?;
    }
    if let Some(path) = args.value("pid-file") {
        let pid = launched.pid.as_raw_nonzero().to_string();
        store::write_whole(Path::new(path), pid.as_bytes())?;
    }
    match signals {
        Some(signals) => foreground::attend(&launched, &signals),
        None => Ok(0),
    }
}

fn gone() -> Error {
    Error::State("container not running".to_owned())
}

fn stdio<'a>(args: &Arguments, process: &Process) -> Stdio<'a> {
    let size = process.console_size;
    let size = size.map(|s| (s.height as u16, s.width as u16));
    match process.terminal {
        true => Stdio::Terminal {
            size: size.or_else(console::own_size),
            plain_lines: !args.is_given("console-socket"),
        },
        false => Stdio::Inherit,
    }
}

/// The process as a document, or the container's own with changes.
fn wanted_process(args: &Arguments, spec: &Spec) -> Result<Process> {
    if let Some(path) = args.value("process") {
        let path = Path::new(path);
        let text = store::read(path)?;
        return serde_json::from_slice(&text).map_err(|e| Error::Document {
            path: path.to_path_buf(),
            text: e.to_string(),
        });
    }
    let command = &args.rest()[1..];
    if command.is_empty() {
        return Err(Error::Usage("exec args cannot be empty".to_owned()));
    }
    let missing = || Error::Usage("process property must not be empty".to_owned());
    let mut process = spec.process.clone().ok_or_else(missing)?;
    process.args = command.to_vec();
    process.terminal = args.has("tty");
    process.console_size = None;
    if let Some(cwd) = args.value("cwd") {
        process.cwd = PathBuf::from(cwd);
    }
    process.env.extend(args.values("env").map(str::to_owned));
    if let Some(profile) = args.value("apparmor") {
        process.apparmor_profile = Some(profile.to_owned());
    }
    if let Some(label) = args.value("process-label") {
        process.selinux_label = Some(label.to_owned());
    }
    if args.is_given("no-new-privs") {
        process.no_new_privileges = args.has("no-new-privs");
    }
    let caps: Vec<&str> = args.values("cap").collect();
    if !caps.is_empty() {
        let own = process.capabilities.take().unwrap_or_default();
        process.capabilities = Some(with_capabilities(&own, &caps)?);
    }
    process.user = wanted_user(args, process.user)?;
    Ok(process)
}

/// `--user UID[:GID]` and `--additional-gids`.
fn wanted_user(args: &Arguments, own: User) -> Result<User> {
    let number = |text: &str| {
        let bad = |_| Error::Usage(format!("parsing {text:?} as int for uid or gid failed"));
        text.parse::<u32>().map_err(bad)
    };
    let mut wanted = own;
    if let Some(text) = args.value("user") {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        wanted.uid = number(user)?;
        if !group.is_empty() {
            wanted.gid = number(group)?;
        }
    }
    for text in args.values("additional-gids") {
        wanted.additional_gids.push(number(text)?);
    }
    Ok(wanted)
}

/// Capabilities added to what the container's process has.
fn with_capabilities(own: &LinuxCapabilities, more: &[&str]) -> Result<LinuxCapabilities> {
    let more = CapabilityMask::from_names(more.iter().copied())
        .map_err(|name| Error::Usage(format!("unknown capability {name}")))?;
    let sum = |set: &[String], add: CapabilityMask| {
        CapabilityMask(CapabilityMask::from_oci(set).0 | add.0).to_oci()
    };
    // Only a process with inheritable capabilities gets further ones that way.
    let passed = match own.inheritable.is_empty() {
        true => CapabilityMask::EMPTY,
        false => more,
    };
    Ok(LinuxCapabilities {
        bounding: sum(&own.bounding, more),
        effective: sum(&own.effective, more),
        permitted: sum(&own.permitted, more),
        inheritable: sum(&own.inheritable, passed),
        ambient: sum(&own.ambient, passed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(line: &str) -> Result<Process> {
        let spec = crate::defaults::example_spec(None);
        let words = line.split(' ').map(str::to_owned).collect();
        wanted_process(&Arguments::parse(words, OPTIONS, false).unwrap(), &spec)
    }

    #[test]
    fn options_change_the_containers_process() {
        let p = process("-t -u 1:2 -g 3 -e A=b --cwd /x -c CAP_SYS_ADMIN id ls -l").unwrap();
        assert_eq!(p.args, ["ls", "-l"]);
        assert_eq!((p.user.uid, p.user.gid), (1, 2));
        assert_eq!(p.user.additional_gids, [3]);
        assert_eq!(p.env.last().unwrap(), "A=b");
        assert!(p.terminal);
        let caps = p.capabilities.unwrap();
        assert_eq!(caps.bounding.len(), 4);
        assert_eq!(caps.inheritable.len(), 0);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(process("id").is_err());
        assert!(process("-u root id ls").is_err());
        assert!(process("-c CAP_NOPE id ls").is_err());
    }
}
