//! What is done to containers that exist.

use std::time::{Duration, Instant};

use gantry_cgroup::Cgroup;
use gantry_oci::LinuxNamespaceType;
use rustix::process::{Pid, PidfdFlags};
use serde::Serialize;

use super::args::{Arguments, Option as Flag};
use super::create::hook_state;
use super::error::{Error, Result};
use super::store::{self, Container, Record, Status};
use super::{Context, output, process};
use crate::hooks::run_hooks;

/// How long `delete --force` waits for the end of what it killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks.
const POLL: Duration = Duration::from_millis(5);

/// The state document, with runc's additions.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: &'a str,
    bundle: String,
    rootfs: String,
    created: &'a str,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'a std::collections::BTreeMap<String, String>,
    owner: &'a str,
}

impl<'a> State<'a> {
    fn of(context: &Context, record: &'a Record) -> Self {
        let status = store::status(context, record);
        Self {
            oci_version: &record.oci_version,
            id: &record.id,
            pid: if status == Status::Stopped {
                0
            } else {
                record.pid
            },
            status: status.name(),
            bundle: record.bundle.to_string_lossy().into_owned(),
            rootfs: record.rootfs.to_string_lossy().into_owned(),
            created: &record.created,
            annotations: &record.annotations,
            owner: &record.owner,
        }
    }
}

/// `state`.
pub(super) fn state(context: &Context, args: Vec<String>) -> Result<i32> {
    let args = Arguments::parse(args, &[], 1, 1)?;
    let record = store::look(context, &args.rest()[0])?;
    output::print_json(&State::of(context, &record));
    Ok(0)
}

/// `list`.
pub(super) fn list(context: &Context, args: Vec<String>) -> Result<i32> {
    let known = &[
        Flag::value("format", Some('f')),
        Flag::switch("quiet", Some('q')),
    ];
    let args = Arguments::parse(args, known, 0, 0)?;
    let records = store::all(context);
    if args.has("quiet") {
        let ids: String = records
            .iter()
            .map(|record| format!("{}\n", record.id))
            .collect();
        output::print(&ids);
        return Ok(0);
    }
    let states: Vec<_> = records
        .iter()
        .map(|record| State::of(context, record))
        .collect();
    match args.value("format").unwrap_or("table") {
        "json" => {
            let all = (!states.is_empty()).then_some(&states);
            let text = serde_json::to_string(&all).unwrap_or_default();
            output::print(&(text + "\n"));
        }
        "table" => {
            let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
            let row = |s: &State<'_>| {
                let pid = s.pid.to_string();
                [s.id, &pid, s.status, &s.bundle, s.created, s.owner].map(str::to_owned)
            };
            let rows: Vec<_> = std::iter::once(head)
                .chain(states.iter().map(row))
                .collect();
            output::print(&table(&rows));
        }
        _ => return Err(Error::Usage("invalid format option".to_owned())),
    }
    Ok(0)
}

/// Columns of at least 12, three blanks apart, as Go's tabwriter makes them.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        (longest + 3).max(12)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let last = column + 1 == N;
            let pad = if last { 0 } else { widths[column] };
            text.push_str(&format!("{cell:pad$}"));
        }
        text.push('\n');
    }
    text
}

/// `kill`.
pub(super) fn kill(context: &Context, args: Vec<String>) -> Result<i32> {
    let known = &[Flag::switch("all", Some('a'))];
    let args = Arguments::parse(args, known, 1, 2)?;
    let record = store::look(context, &args.rest()[0])?;
    let name = args.rest().get(1).map_or("SIGTERM", String::as_str);
    let signal = signal_number(name)?;
    let status = store::status(context, &record);
    let everyone = args.has("all") || (signal == libc::SIGKILL && shares_pids(context, &record));
    if everyone {
        signal_all(&record, signal)?;
        if status == Status::Stopped {
            return Ok(0);
        }
    }
    if status == Status::Stopped {
        return Err(Error::State("container not running".to_owned()));
    }
    signal_first(&record, signal)?;
    // A frozen process dies only when it is thawed.
    if signal == libc::SIGKILL && status == Status::Paused {
        cgroup(&record).map_or(Ok(()), |group| group.thaw())?;
    }
    Ok(0)
}

/// Whether the container has no pid namespace of its own: then the end of its
/// first process ends nobody else.
fn shares_pids(context: &Context, record: &Record) -> bool {
    let Ok(spec) = Container::open(context, &record.id).and_then(|c| c.spec()) else {
        return false;
    };
    let mut namespaces = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    !namespaces.any(|n| n.kind == LinuxNamespaceType::Pid && n.path.is_none())
}

fn cgroup(record: &Record) -> Option<Cgroup> {
    Cgroup::open(record.cgroup.as_deref()?).ok()
}

/// The same process as when it was made; the handle rules out a later one.
fn signal_first(record: &Record, signal: i32) -> Result<()> {
    let gone = || Error::State("container not running".to_owned());
    let pid = Pid::from_raw(record.pid).ok_or_else(gone)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    let same = process::identify(record.pid).is_some_and(|it| it.start_time == record.start_time);
    if !same {
        return Err(gone());
    }
    gantry_sys::pidfd_send_signal(&pidfd, signal).map_err(|errno| match errno {
        rustix::io::Errno::SRCH => gone(),
        errno => Error::State(format!("unable to signal container: {errno}")),
    })
}

fn signal_all(record: &Record, signal: i32) -> Result<()> {
    let Some(group) = cgroup(record) else {
        return Ok(());
    };
    if signal == libc::SIGKILL {
        return Ok(group.kill_all()?);
    }
    for pid in group.pids()? {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let handle = pid.map(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()));
        if let Some(Ok(pidfd)) = handle {
            // Gone meanwhile: fine.
            let _ = gantry_sys::pidfd_send_signal(pidfd, signal);
        }
    }
    Ok(())
}

/// `delete`.
pub(super) fn delete(context: &Context, args: Vec<String>) -> Result<i32> {
    let known = &[Flag::switch("force", Some('f'))];
    let args = Arguments::parse(args, known, 1, 1)?;
    let (id, force) = (args.rest()[0].as_str(), args.has("force"));
    let record = match store::look(context, id) {
        Err(Error::NoSuchContainer) => {
            // A directory without a record is what a killed `create` leaves.
            let leftover = Container::open(context, id).and_then(Container::remove);
            return match (leftover, force) {
                (Ok(()), _) | (Err(Error::NoSuchContainer), true) => Ok(0),
                (Err(error), _) => Err(error),
            };
        }
        other => other?,
    };
    match store::status(context, &record) {
        Status::Stopped => {}
        Status::Created => kill_and_wait(context, &record)?,
        _ if force => kill_and_wait(context, &record)?,
        status => {
            return Err(Error::State(format!(
                "cannot delete container {id} that is not stopped: {}",
                status.name()
            )));
        }
    }
    destroy(context, id)?;
    Ok(0)
}

fn kill_and_wait(context: &Context, record: &Record) -> Result<()> {
    // Both may find nobody left.
    let _ = signal_first(record, libc::SIGKILL);
    if let Some(group) = cgroup(record) {
        group.thaw()?;
    }
    let deadline = Instant::now() + PATIENCE;
    while store::status(context, record) != Status::Stopped {
        if Instant::now() > deadline {
            return Err(Error::State("container init still running".to_owned()));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Takes away what is left of a stopped container: everything is tried, the
/// first failure is told.
pub(super) fn destroy(context: &Context, id: &str) -> Result<()> {
    let container = Container::open(context, id)?;
    let record = container.record()?;
    let mut first = Ok(());
    if let Some(group) = cgroup(&record) {
        first = group
            .kill_all()
            .and_then(|()| group.remove())
            .map_err(Error::from);
    }
    let hooks = container.spec().ok().and_then(|spec| spec.hooks);
    if let Some(hooks) = hooks {
        let mut state = hook_state(&record, "stopped");
        state.pid = 0;
        let ran = run_hooks(&hooks.poststop, &state).map_err(Error::Hook);
        first = first.and(ran);
    }
    first.and(container.remove())
}

/// `pause`.
pub(super) fn pause(context: &Context, args: Vec<String>) -> Result<i32> {
    let args = Arguments::parse(args, &[], 1, 1)?;
    let record = store::look(context, &args.rest()[0])?;
    match store::status(context, &record) {
        Status::Running | Status::Created => own_cgroup(&record)?.freeze()?,
        status => {
            let text = format!("container not running or created: {}", status.name());
            return Err(Error::State(text));
        }
    }
    Ok(0)
}

/// `resume`.
pub(super) fn resume(context: &Context, args: Vec<String>) -> Result<i32> {
    let args = Arguments::parse(args, &[], 1, 1)?;
    let record = store::look(context, &args.rest()[0])?;
    let group = own_cgroup(&record)?;
    if group.freezer_state() != gantry_cgroup::FreezerState::Frozen {
        return Err(Error::State("container not paused".to_owned()));
    }
    group.thaw()?;
    Ok(0)
}

/// The cgroup of a container, which must have one.
pub(super) fn own_cgroup(record: &Record) -> Result<Cgroup> {
    cgroup(record).ok_or_else(|| Error::State("container has no cgroup".to_owned()))
}

/// `ps`. Arguments for a `ps` program are taken and not needed.
pub(super) fn ps(context: &Context, args: Vec<String>) -> Result<i32> {
    let known = &[Flag::value("format", Some('f'))];
    let args = Arguments::parse(args, known, 1, usize::MAX)?;
    let record = store::look(context, &args.rest()[0])?;
    let pids = own_cgroup(&record)?.pids()?;
    match args.value("format").unwrap_or("table") {
        "json" => {
            let text = serde_json::to_string(&pids).unwrap_or_default();
            output::print(&(text + "\n"));
        }
        "table" => {
            let head = ["UID", "PID", "PPID", "CMD"].map(str::to_owned);
            let row = |pid: &u32| {
                let (uid, parent, command) = process::describe(*pid)?;
                Some([
                    uid.to_string(),
                    pid.to_string(),
                    parent.to_string(),
                    command,
                ])
            };
            let rows = std::iter::once(head).chain(pids.iter().filter_map(row));
            output::print(&table(&rows.collect::<Vec<_>>()));
        }
        _ => return Err(Error::Usage("invalid format option".to_owned())),
    }
    Ok(0)
}

/// Signals by name, `SIG` or not, or number.
fn signal_number(text: &str) -> Result<i32> {
    const NAMES: [(&str, i32); 31] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("STKFLT", 16),
        ("CHLD", 17),
        ("CONT", 18),
        ("STOP", 19),
        ("TSTP", 20),
        ("TTIN", 21),
        ("TTOU", 22),
        ("URG", 23),
        ("XCPU", 24),
        ("XFSZ", 25),
        ("VTALRM", 26),
        ("PROF", 27),
        ("WINCH", 28),
        ("IO", 29),
        ("PWR", 30),
        ("SYS", 31),
    ];
    let unknown = || Error::Usage(format!("unknown signal {text:?}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=64).contains(&number) {
            Ok(number)
        } else {
            Err(unknown())
        };
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, from: i32, sign: i32| {
        let offset: i32 = bare.strip_prefix(prefix)?.parse().ok()?;
        (0..=30)
            .contains(&offset.abs())
            .then_some(from + sign * offset.abs())
    };
    let known = NAMES
        .iter()
        .find(|(name, _)| *name == bare)
        .map(|(_, number)| *number);
    let special = match bare {
        "RTMIN" => Some(34),
        "RTMAX" => Some(64),
        _ => real_time("RTMIN+", 34, 1).or_else(|| real_time("RTMAX-", 64, -1)),
    };
    known.or(special).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_any_name() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGterm", 15),
            ("0", 0),
            ("RTMIN+1", 35),
            ("SIGRTMAX-2", 62),
        ] {
            assert_eq!(signal_number(text).unwrap(), number);
        }
        for text in ["", "NOPE", "99", "-1", "RTMIN+99"] {
            assert!(signal_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tables_are_tabwriters() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let text = table(&[row("ID", "PID"), row("a-long-name-here", "1")]);
        assert_eq!(text, "ID                 PID\na-long-name-here   1\n");
    }
}
