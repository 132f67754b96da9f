//! Number of tasks: `pids`.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::stats::PidsStats;

const LIMIT: &str = "pids.max";

fn directory(group: &Cgroup) -> Option<&Directory> {
    group
        .v1_dir(Controller::Pids)
        .or_else(|| group.v2_dir(Controller::Pids))
}

pub(crate) fn apply(group: &Cgroup, limit: Option<i64>) -> Result<()> {
    // Zero is what clients send for "not set"; a new cgroup has no limit.
    let Some(limit) = limit.filter(|&limit| limit != 0) else {
        return Ok(());
    };
    match directory(group) {
        Some(dir) if limit > 0 => dir.write_number(LIMIT, limit),
        Some(dir) => dir.write(LIMIT, "max"),
        None if limit < 0 => Ok(()),
        None => Err(Error::MissingController {
            controller: "pids",
            limit: "the number of processes",
        }),
    }
}

/// While the thread that gives birth sits in the cgroup it counts as a task, so
/// a limit of one is raised to two until the child is there: for that time, and
/// not until the child's program runs, which could use the room itself.
pub(crate) fn room_for_one_more(group: &Cgroup) -> Result<Option<Room>> {
    let Some(dir) = group.v1_dir(Controller::Pids) else {
        return Ok(None);
    };
    if dir.number(LIMIT) != Some(1) {
        return Ok(None);
    }
    let room = Room {
        current: dir.open("pids.current", OFlags::RDONLY)?,
        limit: dir.open(LIMIT, OFlags::WRONLY)?,
    };
    dir.write(LIMIT, "2")?;
    Ok(Some(room))
}

/// The room that was made. Nothing here takes memory from the heap: another
/// thread forks meanwhile, and the heap's lock must be free when it does.
pub(crate) struct Room {
    current: OwnedFd,
    limit: OwnedFd,
}

impl Room {
    /// Takes the room away when the second task is there, or when there will be none.
    pub(crate) fn close_after_birth(&self, is_over: impl Fn() -> bool) {
        let mut count = [0u8; 16];
        while !is_over() {
            let length = rustix::io::pread(&self.current, &mut count, 0).unwrap_or(0);
            if !matches!(count[..length], [] | [b'0' | b'1', b'\n']) {
                break;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        // It could be written before; if not now, the limit is two.
        let _ = rustix::io::write(&self.limit, b"1");
    }
}

pub(crate) fn measure(group: &Cgroup, stats: &mut PidsStats) {
    let Some(dir) = directory(group) else {
        return;
    };
    stats.current = dir.number("pids.current").unwrap_or_default();
    stats.limit = dir
        .number(LIMIT)
        .filter(|&limit| limit != u64::MAX)
        .unwrap_or_default();
}
