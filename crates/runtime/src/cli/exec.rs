//! `exec`.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use gantry_cgroup::Cgroup;
use gantry_oci::{LinuxCapabilities, Process, Spec, User};
use rustix::process::Pid;

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::foreground::{self, Signals};
use super::store::{self, Container, Status};
use super::{Context, console};
use crate::capability::CapabilityMask;
use crate::exec::Exec;
use crate::launch::{CgroupJoin, Launched, Stdio};
use crate::seccomp::{self, Filter};

const OPTIONS: &[Flag] = &[
    Flag::switch("tty", Some('t')),
    Flag::switch("detach", Some('d')),
    Flag::value("process", Some('p')),
    Flag::value("cwd", None),
    Flag::value("env", Some('e')),
    Flag::value("user", Some('u')),
    Flag::value("additional-gids", Some('g')),
    Flag::value("cap", Some('c')),
    Flag::switch("no-new-privs", None),
    Flag::value("pid-file", None),
    Flag::value("console-socket", None),
    Flag::value("cgroup", None),
    Flag::value("apparmor", None),
    Flag::value("process-label", None),
    Flag::value("preserve-fds", None),
    Flag::switch("ignore-paused", None),
    Flag::switch("no-subreaper", None),
];

/// `exec`.
pub(super) fn exec(context: &Context, args: Vec<String>) -> Result<i32> {
    let args = Arguments::parse(args, OPTIONS, 1, usize::MAX)?;
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
    let process = wanted_process(&args, &spec)?;
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
    let cgroup = wanted_cgroup(&args, record.cgroup.as_deref())?;
    let launched = launch(
        &args,
        record.pid,
        &process,
        filter.as_ref(),
        cgroup.as_ref(),
    )?;
    if let (Some(socket), Some(master)) = (&socket, &launched.terminal) {
        console::send(socket, std::os::fd::AsFd::as_fd(master))?;
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

fn launch(
    args: &Arguments,
    target: i32,
    process: &Process,
    seccomp: Option<&Filter>,
    cgroup: Option<&Cgroup>,
) -> Result<Launched> {
    let gone = || Error::State("container not running".to_owned());
    let size = process
        .console_size
        .map(|s| (s.height as u16, s.width as u16));
    let spawn = |cgroup: Option<BorrowedFd<'_>>| -> Result<Launched> {
        let exec = Exec {
            target: Pid::from_raw(target).ok_or_else(gone)?,
            process,
            seccomp,
            cgroup: cgroup.map_or(CgroupJoin::Inherit, CgroupJoin::Unified),
            stdio: match process.terminal {
                true => Stdio::Terminal {
                    size: size.or_else(console::own_size),
                },
                false => Stdio::Inherit,
            },
            preserve_fds: args.number("preserve-fds")?,
            user: None,
        };
        exec.spawn().map_err(Error::Exec)
    };
    match cgroup {
        Some(group) => group.birth(spawn)?,
        None => spawn(None),
    }
}

/// The container's cgroup, or the one below it that `--cgroup` names.
fn wanted_cgroup(args: &Arguments, own: Option<&str>) -> Result<Option<Cgroup>> {
    let Some(own) = own else {
        return Ok(None);
    };
    let path = match args.value("cgroup") {
        None => own.to_owned(),
        Some(below) if below.contains(':') => {
            let text = format!("--cgroup {below}: one for each controller is not supported");
            return Err(Error::Usage(text));
        }
        Some(below) if below.split('/').any(|part| part == "..") => {
            return Err(Error::Usage(format!(
                "--cgroup {below}: must be below the container's"
            )));
        }
        Some(below) => format!("{own}/{}", below.trim_start_matches('/')),
    };
    Ok(Some(Cgroup::open(&path)?))
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
        return Err(Error::Usage("process args cannot be empty".to_owned()));
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
    process.no_new_privileges |= args.has("no-new-privs");
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
        wanted_process(&Arguments::parse(words, OPTIONS, 1, 99).unwrap(), &spec)
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
