//! `events`: measurements now and then, and every lack of memory, one JSON
//! document in a line, as runc prints them.

use std::time::{Duration, Instant};

use gantry_cgroup::{Cgroup, OomWatch};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::manage::own_cgroup;
use super::measured::{Event, Measured};
use super::store::{self, Record, Status};
use super::{Context, output};

/// How often it measures, unless asked otherwise.
const INTERVAL: &str = "5s";

/// Options of `events`.
pub(super) const OPTIONS: &[Flag] = &[
    Flag::value("interval", None, "how often it is measured (5s)"),
    Flag::switch("stats", None, "measure once"),
];

/// `events`: until the container ends; with `--stats` once.
pub(super) fn events(context: &Context, args: &Arguments) -> Result<i32> {
    let record = store::look(context, &args.rest()[0])?;
    let text = args.value("interval").unwrap_or(INTERVAL);
    let interval = duration(text)
        .filter(|interval| !interval.is_zero())
        .ok_or_else(|| Error::Usage("duration interval must be greater than 0".to_owned()))?;
    if store::status(context, &record) == Status::Stopped {
        let text = format!("container with id {} is not running", record.id);
        return Err(Error::State(text));
    }
    let group = own_cgroup(&record)?;
    if args.has("stats") {
        tell(&record, "stats", Some(Measured::of(&group.stats())));
        return Ok(0);
    }
    follow(&record, &group, interval)?;
    Ok(0)
}

fn follow(record: &Record, group: &Cgroup, interval: Duration) -> Result<()> {
    let gone = || Error::State("container not running".to_owned());
    let pid = Pid::from_raw(record.pid).ok_or_else(gone)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    let mut memory: Option<OomWatch> = group.watch_oom()?;
    let mut due = Instant::now() + interval;
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
        if let Some(memory) = &memory {
            fds.push(PollFd::new(memory, PollFlags::IN));
        }
        match poll(&mut fds, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::State(format!("poll: {errno}"))),
        }
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (ended, short) = (ready(0), ready(1));
        if short && memory.as_mut().is_some_and(OomWatch::take) {
            tell(record, "oom", None);
        }
        if ended {
            return Ok(());
        }
        if Instant::now() >= due {
            tell(record, "stats", Some(Measured::of(&group.stats())));
            due = Instant::now() + interval;
        }
    }
}

fn tell(record: &Record, kind: &str, data: Option<Measured<'_>>) {
    let event = Event {
        kind,
        id: &record.id,
        data,
    };
    let text = serde_json::to_string(&event).unwrap_or_default();
    output::print(&(text + "\n"));
}

/// A duration as Go writes it, such as `1m30s` or `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(&rest[digits..], |end| &rest[digits..digits + end]);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += Duration::try_from_secs_f64(count * seconds).ok()?;
        rest = &rest[digits + unit.len()..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for text in ["5", "s", "5x", "-1s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
