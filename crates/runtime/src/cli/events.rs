//! `events`: measurements now and then, and every lack of memory, one JSON
//! document in a line, as runc prints them.

use std::time::{Duration, Instant};

use gantry_cgroup::{BlockIoEntry, Cgroup, OomWatch, Stats};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use serde_json::{Value, json};

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::manage::own_cgroup;
use super::store::{self, Record, Status};
use super::{Context, output};

/// How often it measures, unless asked otherwise.
const INTERVAL: &str = "5s";

/// `events`: until the container ends; with `--stats` once.
pub(super) fn events(context: &Context, args: Vec<String>) -> Result<i32> {
    let known = &[Flag::value("interval", None), Flag::switch("stats", None)];
    let args = Arguments::parse(args, known, 1, 1)?;
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
        tell(&record, "stats", Some(measured(&group.stats())));
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
            tell(record, "stats", Some(measured(&group.stats())));
            due = Instant::now() + interval;
        }
    }
}

fn tell(record: &Record, kind: &str, data: Option<Value>) {
    let mut event = json!({"type": kind, "id": record.id});
    if let Some(data) = data {
        event["data"] = data;
    }
    output::print(&format!("{event}\n"));
}

fn measured(stats: &Stats) -> Value {
    let (cpu, memory) = (&stats.cpu, &stats.memory);
    let detail = |key: &str| memory.detail.get(key).copied().unwrap_or(0);
    json!({
        "cpu": {
            "usage": {
                "total": cpu.total, "percpu": cpu.per_cpu, "kernel": cpu.system, "user": cpu.user,
            },
            "throttling": {
                "periods": cpu.periods,
                "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled_time,
            },
        },
        "memory": {
            "cache": detail("cache").max(detail("file")),
            "usage": {
                "limit": memory.limit,
                "usage": memory.usage,
                "max": memory.max_usage,
                "failcnt": memory.fail_count,
            },
            "raw": memory.detail,
        },
        "pids": {"current": stats.pids.current, "limit": stats.pids.limit},
        "blkio": {
            "ioServiceBytesRecursive": entries(&stats.io_service_bytes),
            "ioServicedRecursive": entries(&stats.io_serviced),
        },
    })
}

fn entries(list: &[BlockIoEntry]) -> Vec<Value> {
    let one = |e: &BlockIoEntry| json!({"major": e.major, "minor": e.minor, "op": e.operation, "value": e.value});
    list.iter().map(one).collect()
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
