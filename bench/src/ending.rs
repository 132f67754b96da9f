//! The end of a bench that somebody interrupts: its daemons and containers go with it.
//!
//! ```text
//! SIGINT, SIGTERM, SIGHUP ─► containers killed ─► daemons told, then killed
//!                         ─► other children killed ─► folders and groups removed ─► exit
//! ```

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::command::run;
use crate::contender::PEERS_NETNS;
use crate::cpu;
use crate::say;

/// Where the bench's folders are, and how their names begin.
pub const FOLDERS: &str = "/var/tmp";
pub const PREFIX: &str = "gantry-bench-";
/// How long daemons may take to end.
const PATIENCE: Duration = Duration::from_secs(15);
/// SIGHUP, SIGINT, SIGTERM.
const SIGNALS: [i32; 3] = [1, 2, 15];

static BEGUN: AtomicBool = AtomicBool::new(false);

/// From now on this process ends so. To be called before there is another thread.
///
/// # Errors
/// When the kernel gives no descriptor.
pub fn watch() -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("signals: {error}");
    let signals = gantry_sys::signal_fd(&SIGNALS).map_err(|errno| failed(&errno))?;
    let before = folders();
    thread::Builder::new()
        .name("ending".to_owned())
        .spawn(move || end(&signals, &before))
        .map(drop)
        .map_err(|error| failed(&error))
}

/// Does not return when the end has begun: it is the other thread's.
pub fn stop_here() {
    while BEGUN.load(Ordering::Acquire) {
        thread::park();
    }
}

/// A new folder that goes with the bench, and is gone with the value.
pub fn folder() -> Result<tempfile::TempDir, String> {
    let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(FOLDERS);
    made.map_err(|error| format!("a folder: {error}"))
}

fn end(signals: &OwnedFd, before: &[PathBuf]) {
    let mut fds = [PollFd::new(signals, PollFlags::IN)];
    while poll(&mut fds, None).is_err() {}
    BEGUN.store(true, Ordering::Release);
    say("bench: interrupted; what it has started is taken away");
    let groups = cpu::groups();
    for group in &groups {
        signal(&cpu::processes(&group.join("containers")), Signal::KILL);
    }
    let engines = || -> Vec<u32> { groups.iter().flat_map(|g| cpu::processes(g)).collect() };
    signal(&engines(), Signal::TERM);
    wait_until_none(engines);
    signal(&engines(), Signal::KILL);
    signal(&children(), Signal::KILL);
    wait_until_none(engines);
    let _ = run(&["ip", "netns", "del", PEERS_NETNS]);
    for folder in folders().iter().filter(|folder| !before.contains(folder)) {
        let _ = fs::remove_dir_all(folder);
    }
    let _ = fs::remove_dir_all(format!("/run/{PREFIX}{}", std::process::id()));
    cpu::everywhere()
        .iter()
        .for_each(|group| cpu::remove(group));
    std::process::exit(130);
}

fn wait_until_none(processes: impl Fn() -> Vec<u32>) {
    let deadline = Instant::now() + PATIENCE;
    while !processes().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(100));
    }
}

/// The bench's folders.
fn folders() -> Vec<PathBuf> {
    let all = fs::read_dir(FOLDERS).into_iter().flatten().flatten();
    let ours = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let folders = ours.map(|entry| entry.path()).filter(|path| path.is_dir());
    folders.collect()
}

/// What this process has started and waits for.
fn children() -> Vec<u32> {
    let own = getpid().as_raw_nonzero();
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    found.retain(|pid| Path::new(&format!("/proc/{pid}")).exists() && *pid as i32 != own.get());
    found
}

fn signal(pids: &[u32], signal: Signal) {
    let pids = pids.iter().filter_map(|pid| i32::try_from(*pid).ok());
    for pid in pids.filter_map(Pid::from_raw) {
        // It may have ended.
        let _ = kill_process(pid, signal);
    }
}
