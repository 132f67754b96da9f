//! What is done to containers that exist.

use std::time::{Duration, Instant};

use gantry_cgroup::Cgroup;
use gantry_oci::LinuxNamespaceType;
use rustix::process::{Pid, PidfdFlags};
use serde::Serialize;

use super::args::{Arguments, Option as Flag};
use super::create::{hook_state, warn_of};
use super::error::{Error, Result};
use super::store::{self, Container, Record, Status};
use super::{Context, output, process, signal};
use crate::hooks::{HookPoint, run_all_hooks};

/// Options of `list`.
pub(super) const LIST: &[Flag] = &[
    Flag::value("format", Some('f'), "table (the default), or json"),
    Flag::switch("quiet", Some('q'), "show ids alone"),
];

/// Options of `kill`.
pub(super) const KILL: &[Flag] = &[Flag::switch("all", Some('a'), "")];

/// Options of `delete`.
pub(super) const DELETE: &[Flag] = &[Flag::switch(
    "force",
    Some('f'),
    "kill it first if it runs, and be content if there is none",
)];

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
pub(super) fn state(context: &Context, args: &Arguments) -> Result<i32> {
    let record = store::look(context, &args.rest()[0])?;
    output::print_json(&State::of(context, &record));
    Ok(0)
}

/// `list`.
pub(super) fn list(context: &Context, args: &Arguments) -> Result<i32> {
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
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
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
pub(super) fn kill(context: &Context, args: &Arguments) -> Result<i32> {
    let record = store::look(context, &args.rest()[0])?;
    let name = args.rest().get(1).map_or("SIGTERM", String::as_str);
    let signal = signal::number(name)?;
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
    if let Some(scope) = &record.scope {
        return Cgroup::open_scope(scope.clone()).ok();
    }
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
pub(super) fn delete(context: &Context, args: &Arguments) -> Result<i32> {
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
        let removed = container.remove();
        warn_of(context, run_all_hooks(HookPoint::Poststop, &hooks, &state));
        return first.and(removed);
    }
    first.and(container.remove())
}

/// `pause`.
pub(super) fn pause(context: &Context, args: &Arguments) -> Result<i32> {
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
pub(super) fn resume(context: &Context, args: &Arguments) -> Result<i32> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_tabwriters() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let text = table(&[row("ID", "PID"), row("a-long-name-here", "1")]);
        assert_eq!(text, "ID                 PID\na-long-name-here   1\n");
    }
}
