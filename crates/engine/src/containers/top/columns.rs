//! The columns of `ps`: their names, their titles, and what stands in them.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::passwd::Names;
use super::process::Process;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Address,
    BsdTime,
    Class,
    Command,
    Flags,
    Group,
    GroupNumber,
    MajorFaults,
    MemoryShare,
    MinorFaults,
    Name,
    Nice,
    OldPriority,
    Parent,
    Pid,
    Priority,
    ProcessGroup,
    Processor,
    ProcessorShare,
    RealGroup,
    RealUser,
    RealtimePriority,
    Resident,
    Session,
    Short,
    Size,
    StartClock,
    StartDate,
    StartDay,
    State,
    StateLetter,
    Terminal,
    TerminalGroup,
    Threads,
    Time,
    Elapsed,
    ElapsedSeconds,
    User,
    UserNumber,
    VirtualSize,
    WaitsIn,
}

use Column as C;

/// A format: titles and columns.
type Format = &'static [(&'static str, Column)];

pub(super) const SHORT: Format = &[
    ("PID", C::Pid),
    ("TTY", C::Terminal),
    ("TIME", C::Time),
    ("CMD", C::Name),
];
pub(super) const BSD: Format = &[
    ("PID", C::Pid),
    ("TTY", C::Terminal),
    ("STAT", C::State),
    ("TIME", C::BsdTime),
    ("COMMAND", C::Command),
];
pub(super) const FULL: Format = &[
    ("UID", C::User),
    ("PID", C::Pid),
    ("PPID", C::Parent),
    ("C", C::Short),
    ("STIME", C::StartDay),
    ("TTY", C::Terminal),
    ("TIME", C::Time),
    ("CMD", C::Command),
];
pub(super) const EXTRA_FULL: Format = &[
    ("UID", C::User),
    ("PID", C::Pid),
    ("PPID", C::Parent),
    ("C", C::Short),
    ("SZ", C::Size),
    ("RSS", C::Resident),
    ("PSR", C::Processor),
    ("STIME", C::StartDay),
    ("TTY", C::Terminal),
    ("TIME", C::Time),
    ("CMD", C::Command),
];
pub(super) const LONG: Format = &[
    ("F", C::Flags),
    ("S", C::StateLetter),
    ("UID", C::UserNumber),
    ("PID", C::Pid),
    ("PPID", C::Parent),
    ("C", C::Short),
    ("PRI", C::OldPriority),
    ("NI", C::Nice),
    ("ADDR", C::Address),
    ("SZ", C::Size),
    ("WCHAN", C::WaitsIn),
    ("TTY", C::Terminal),
    ("TIME", C::Time),
    ("CMD", C::Name),
];
pub(super) const FULL_LONG: Format = &[
    ("F", C::Flags),
    ("S", C::StateLetter),
    ("UID", C::User),
    ("PID", C::Pid),
    ("PPID", C::Parent),
    ("C", C::Short),
    ("PRI", C::OldPriority),
    ("NI", C::Nice),
    ("ADDR", C::Address),
    ("SZ", C::Size),
    ("WCHAN", C::WaitsIn),
    ("STIME", C::StartDay),
    ("TTY", C::Terminal),
    ("TIME", C::Time),
    ("CMD", C::Command),
];
pub(super) const JOBS: Format = &[
    ("PID", C::Pid),
    ("PGID", C::ProcessGroup),
    ("SID", C::Session),
    ("TTY", C::Terminal),
    ("TIME", C::Time),
    ("CMD", C::Name),
];
pub(super) const USER: Format = &[
    ("USER", C::User),
    ("PID", C::Pid),
    ("%CPU", C::ProcessorShare),
    ("%MEM", C::MemoryShare),
    ("VSZ", C::VirtualSize),
    ("RSS", C::Resident),
    ("TTY", C::Terminal),
    ("STAT", C::State),
    ("START", C::StartDay),
    ("TIME", C::BsdTime),
    ("COMMAND", C::Command),
];
pub(super) const BSD_LONG: Format = &[
    ("F", C::Flags),
    ("UID", C::UserNumber),
    ("PID", C::Pid),
    ("PPID", C::Parent),
    ("PRI", C::Priority),
    ("NI", C::Nice),
    ("VSZ", C::VirtualSize),
    ("RSS", C::Resident),
    ("WCHAN", C::WaitsIn),
    ("STAT", C::State),
    ("TTY", C::Terminal),
    ("TIME", C::BsdTime),
    ("COMMAND", C::Command),
];
pub(super) const BSD_JOBS: Format = &[
    ("PPID", C::Parent),
    ("PID", C::Pid),
    ("PGID", C::ProcessGroup),
    ("SID", C::Session),
    ("TTY", C::Terminal),
    ("TPGID", C::TerminalGroup),
    ("STAT", C::State),
    ("UID", C::UserNumber),
    ("TIME", C::BsdTime),
    ("COMMAND", C::Command),
];

/// The column of this name in `-o`, and its title.
pub(super) fn named(name: &str) -> Option<(&'static str, Column)> {
    Some(match name {
        "%cpu" | "pcpu" => ("%CPU", C::ProcessorShare),
        "%mem" | "pmem" => ("%MEM", C::MemoryShare),
        "addr" => ("ADDR", C::Address),
        "args" | "command" => ("COMMAND", C::Command),
        "bsdstart" | "start_time" => ("START", C::StartDay),
        "bsdtime" => ("TIME", C::BsdTime),
        "c" => ("C", C::Short),
        "class" | "cls" | "policy" | "pol" => ("CLS", C::Class),
        "cmd" => ("CMD", C::Command),
        "comm" | "ucomm" | "fname" => ("COMMAND", C::Name),
        "ucmd" => ("CMD", C::Name),
        "cputime" | "time" => ("TIME", C::Time),
        "egid" | "gid" => (if name == "gid" { "GID" } else { "EGID" }, C::GroupNumber),
        "egroup" => ("EGROUP", C::Group),
        "group" => ("GROUP", C::Group),
        "etime" => ("ELAPSED", C::Elapsed),
        "etimes" => ("ELAPSED", C::ElapsedSeconds),
        "euid" => ("EUID", C::UserNumber),
        "uid" => ("UID", C::UserNumber),
        "euser" => ("EUSER", C::User),
        "user" | "uname" => ("USER", C::User),
        "f" | "flag" | "flags" => ("F", C::Flags),
        "lstart" => ("STARTED", C::StartDate),
        "majflt" | "maj_flt" => ("MAJFLT", C::MajorFaults),
        "minflt" | "min_flt" => ("MINFLT", C::MinorFaults),
        "ni" | "nice" => ("NI", C::Nice),
        "nlwp" => ("NLWP", C::Threads),
        "thcount" => ("THCNT", C::Threads),
        "opri" => ("PRI", C::OldPriority),
        "pgid" | "pgrp" => (
            if name == "pgid" { "PGID" } else { "PGRP" },
            C::ProcessGroup,
        ),
        "pid" | "tgid" => (if name == "pid" { "PID" } else { "TGID" }, C::Pid),
        "lwp" | "tid" | "spid" => (
            match name {
                "lwp" => "LWP",
                "tid" => "TID",
                _ => "SPID",
            },
            C::Pid,
        ),
        "ppid" => ("PPID", C::Parent),
        "pri" => ("PRI", C::Priority),
        "psr" => ("PSR", C::Processor),
        "rgroup" => ("RGROUP", C::RealGroup),
        "rss" | "rssize" => ("RSS", C::Resident),
        "rsz" => ("RSZ", C::Resident),
        "rtprio" => ("RTPRIO", C::RealtimePriority),
        "ruser" => ("RUSER", C::RealUser),
        "s" | "state" => ("S", C::StateLetter),
        "stat" => ("STAT", C::State),
        "sess" => ("SESS", C::Session),
        "session" => ("SESS", C::Session),
        "sid" => ("SID", C::Session),
        "start" => ("STARTED", C::StartClock),
        "stime" => ("STIME", C::StartDay),
        "sz" => ("SZ", C::Size),
        "tname" | "tty" | "tt" => (if name == "tname" { "TTY" } else { "TT" }, C::Terminal),
        "tpgid" => ("TPGID", C::TerminalGroup),
        "vsize" | "vsz" => ("VSZ", C::VirtualSize),
        "wchan" => ("WCHAN", C::WaitsIn),
        _ => return None,
    })
}

/// What cells depend on besides their process.
#[derive(Debug)]
pub(super) struct System {
    users: Names,
    groups: Names,
    /// Seconds since the boot, with what is left of one.
    uptime: f64,
    /// Seconds since the epoch.
    booted: i64,
    now: Timestamp,
    zone: TimeZone,
    ticks: u64,
    page: u64,
    /// Kibibytes.
    memory: u64,
}

impl System {
    /// Looks at the machine.
    pub(super) fn look() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        };
        let uptime = text("/proc/uptime");
        let uptime = uptime.split_ascii_whitespace().next().map(str::parse);
        let booted = field(&text("/proc/stat"), "btime").unwrap_or(0);
        Self {
            users: Names::read(Path::new("/etc/passwd")),
            groups: Names::read(Path::new("/etc/group")),
            uptime: uptime.and_then(Result::ok).unwrap_or(0.0),
            booted: i64::try_from(booted).unwrap_or(0),
            now: Timestamp::now(),
            zone: TimeZone::system(),
            ticks: rustix::param::clock_ticks_per_second().max(1),
            page: rustix::param::page_size() as u64,
            memory: field(&text("/proc/meminfo"), "MemTotal:")
                .unwrap_or(1)
                .max(1),
        }
    }

    /// How many seconds a process has been there.
    fn age(&self, process: &Process) -> f64 {
        (self.uptime - process.started as f64 / self.ticks as f64).max(0.0)
    }

    /// Thousandths of a processor that it has used on average.
    fn share(&self, process: &Process) -> u64 {
        let age = self.age(process);
        let used = process.used as f64 * 1000.0 / self.ticks as f64;
        if age > 0.0 { (used / age) as u64 } else { 0 }
    }

    fn kilobytes(&self, pages: u64) -> u64 {
        pages.saturating_mul(self.page) / 1024
    }

    fn started(&self, process: &Process) -> Timestamp {
        let seconds = i64::try_from(process.started / self.ticks).unwrap_or(0);
        Timestamp::from_second(self.booted.saturating_add(seconds)).unwrap_or(self.now)
    }
}

/// What stands in a column for a process.
pub(super) fn cell(column: Column, process: &Process, system: &System) -> String {
    let user = |number: u32| system.users.of(number);
    match column {
        C::Address => "-".to_owned(),
        C::BsdTime => {
            let seconds = process.used / system.ticks;
            format!("{}:{:02}", seconds / 60, seconds % 60)
        }
        C::Class => class(process.policy).to_owned(),
        C::Command => process.command.clone(),
        C::Flags => (process.flags >> 6 & 7).to_string(),
        C::Group => system.groups.of(process.groups[1]),
        C::GroupNumber => process.groups[1].to_string(),
        C::MajorFaults => process.major_faults.to_string(),
        C::MemoryShare => {
            let share = system.kilobytes(process.resident) * 1000 / system.memory;
            tenths(share.min(999))
        }
        C::MinorFaults => process.minor_faults.to_string(),
        C::Name if process.state == 'Z' => format!("{} <defunct>", process.name),
        C::Name => process.name.clone(),
        C::Nice => process.nice.to_string(),
        C::OldPriority => (process.priority + 60).to_string(),
        C::Parent => process.parent.to_string(),
        C::Pid => process.pid.to_string(),
        C::Priority => (39 - process.priority).to_string(),
        C::ProcessGroup => process.group.to_string(),
        C::Processor => process.processor.to_string(),
        C::ProcessorShare => match system.share(process) {
            share @ 1000.. => (share / 10).to_string(),
            share => tenths(share),
        },
        C::RealGroup => system.groups.of(process.groups[0]),
        C::RealUser => user(process.users[0]),
        C::RealtimePriority if process.realtime_priority == 0 => "-".to_owned(),
        C::RealtimePriority => process.realtime_priority.to_string(),
        C::Resident => system.kilobytes(process.resident).to_string(),
        C::Session => process.session.to_string(),
        C::Short => (system.share(process) / 10).min(99).to_string(),
        C::Size => (process.virtual_size / system.page).to_string(),
        C::StartClock => start_clock(process, system),
        C::StartDate => at(process, system, "%a %b %e %H:%M:%S %Y"),
        C::StartDay => start_day(process, system),
        C::State => state(process),
        C::StateLetter => process.state.to_string(),
        C::Terminal => terminal(process.terminal),
        C::TerminalGroup => process.foreground.to_string(),
        C::Threads => process.threads.to_string(),
        C::Time => days(process.used / system.ticks, true),
        C::Elapsed => days(
            Duration::from_secs_f64(system.age(process)).as_secs(),
            false,
        ),
        C::ElapsedSeconds => Duration::from_secs_f64(system.age(process))
            .as_secs()
            .to_string(),
        C::User => user(process.users[1]),
        C::UserNumber => process.users[1].to_string(),
        C::VirtualSize => (process.virtual_size / 1024).to_string(),
        C::WaitsIn => waits_in(&process.waits_in),
    }
}

fn tenths(number: u64) -> String {
    format!("{}.{}", number / 10, number % 10)
}

/// `[days-]hours:minutes:seconds`; hours only where there are some, or always.
fn days(seconds: u64, always_hours: bool) -> String {
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86_400);
    let rest = format!("{minutes:02}:{:02}", seconds % 60);
    match (days, hours) {
        (0, 0) if !always_hours => rest,
        (0, _) => format!("{hours:02}:{rest}"),
        _ => format!("{days}-{hours:02}:{rest}"),
    }
}

fn at(process: &Process, system: &System, format: &str) -> String {
    let started = system.started(process).to_zoned(system.zone.clone());
    started.strftime(format).to_string()
}

/// The time of day, or the day when it was another one, or the year.
fn start_day(process: &Process, system: &System) -> String {
    let started = system.started(process).to_zoned(system.zone.clone());
    let now = system.now.to_zoned(system.zone.clone());
    let format = match (started.year() == now.year(), started.date() == now.date()) {
        (false, _) => "%Y",
        (_, false) => "%b%d",
        (_, true) => "%H:%M",
    };
    started.strftime(format).to_string()
}

fn start_clock(process: &Process, system: &System) -> String {
    match system.age(process) > 86_400.0 {
        true => at(process, system, "%b %d"),
        false => at(process, system, "%H:%M:%S"),
    }
}

fn class(policy: u64) -> &'static str {
    match policy {
        0 => "TS",
        1 => "FF",
        2 => "RR",
        3 => "B",
        4 => "ISO",
        5 => "IDL",
        6 => "DLN",
        _ => "?",
    }
}

/// The state's letter, and what is special about the process.
fn state(process: &Process) -> String {
    let pid = i64::from(process.pid);
    let marks = [
        ('<', process.nice < 0),
        ('N', process.nice > 0),
        ('L', process.locks_memory),
        ('s', process.session == pid),
        ('l', process.threads > 1),
        ('+', process.foreground == process.group),
    ];
    let marks = marks
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(mark, _)| mark);
    std::iter::once(process.state).chain(marks).collect()
}

/// The name of a terminal's device number.
fn terminal(device: u32) -> String {
    let major = device >> 8 & 0xfff;
    let minor = device & 0xff | device >> 12 & 0xf_ff00;
    match (major, minor) {
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        (4, 0..64) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        _ => "?".to_owned(),
    }
}

/// The beginning of the kernel function's name that fits the column.
fn waits_in(function: &str) -> String {
    let name = function.trim_start_matches(['.', '_']);
    match name {
        "" | "0" => "-".to_owned(),
        name => name.chars().take(6).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_ps_writes_them() {
        assert_eq!(days(59, true), "00:00:59");
        assert_eq!(days(59, false), "00:59");
        assert_eq!(days(3_661, false), "01:01:01");
        assert_eq!(days(90_061, true), "1-01:01:01");
    }

    #[test]
    fn terminals_have_names() {
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal(136 << 8 | 3), "pts/3");
        assert_eq!(terminal(4 << 8 | 1), "tty1");
        assert_eq!(terminal(4 << 8 | 64), "ttyS0");
    }

    #[test]
    fn states_have_marks() {
        let process = Process {
            pid: 7,
            session: 7,
            group: 7,
            foreground: 7,
            threads: 2,
            state: 'S',
            nice: 5,
            ..Process::default()
        };
        assert_eq!(state(&process), "SNsl+");
    }

    #[test]
    fn kernel_functions_are_cut() {
        assert_eq!(waits_in("hrtimer_nanosleep"), "hrtime");
        assert_eq!(waits_in("__x"), "x");
        assert_eq!(waits_in("0"), "-");
    }
}
