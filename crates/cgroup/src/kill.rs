//! The end of a cgroup: killing what is in it, removing its directories.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::error::{Error, Result};
use crate::group::Cgroup;

/// How long a directory may stay busy: its tasks are dead but not yet gone.
const PATIENCE: Duration = Duration::from_secs(2);

impl Cgroup {
    /// Sends SIGKILL to every process here and below. They may take a moment to
    /// die; frozen ones are thawed. The calling process is spared.
    pub fn kill_all(&self) -> Result<()> {
        if self.v1.is_empty()
            && let Some(dir) = &self.unified
            && dir.write("cgroup.kill", "1").is_ok()
        {
            return Ok(());
        }
        // Forks may race with the reading of the list: again until it is empty
        // or holds only processes that have been killed already.
        let mut killed: Vec<u32> = Vec::new();
        for _ in 0..100 {
            let mut fresh = self.pids()?;
            fresh.retain(|pid| *pid != std::process::id() && !killed.contains(pid));
            if fresh.is_empty() {
                break;
            }
            for pid in &fresh {
                kill_one(*pid);
            }
            killed.extend(fresh);
        }
        // On v1 a frozen task dies only when thawed.
        if !killed.is_empty() {
            let _ = self.thaw();
        }
        Ok(())
    }

    /// Removes the directories with those below them, waiting a little for dead
    /// tasks to leave. Removing what is gone is no error. All hierarchies are
    /// tried; the first error is reported.
    pub fn remove(&self) -> Result<()> {
        if let Some(scope) = &self.scope {
            scope.stop();
        }
        let deadline = Instant::now() + PATIENCE;
        let mut first_error = None;
        for dir in self.directories() {
            if let Err(error) = remove_tree(&dir.path, deadline) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Whether all directories are gone.
    pub fn is_gone(&self) -> bool {
        self.directories().all(|dir| !dir.path.exists())
    }
}

fn kill_one(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // ESRCH: it died by itself.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

pub(crate) fn remove_tree(path: &Path, deadline: Instant) -> Result<()> {
    let mut pause = Duration::from_micros(100);
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() != Some(libc::EBUSY) => {
                return Err(Error::io("rmdir", path, error));
            }
            Err(busy) => {
                remove_children(path, deadline)?;
                if Instant::now() >= deadline {
                    return Err(Error::io("rmdir", path, busy));
                }
            }
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn remove_children(path: &Path, deadline: Instant) -> Result<()> {
    let Ok(entries) = fs::read_dir(path) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path(), deadline)?;
        }
    }
    Ok(())
}
