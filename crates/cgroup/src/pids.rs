//! Number of tasks: `pids`.

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

/// While the thread that gives birth sits in the cgroup it counts as a task. A
/// limit of one is raised to two for that time; dropping the guard restores it.
pub(crate) fn room_for_one_more(group: &Cgroup) -> Result<Option<Room<'_>>> {
    let Some(dir) = group.v1_dir(Controller::Pids) else {
        return Ok(None);
    };
    if dir.number(LIMIT) != Some(1) {
        return Ok(None);
    }
    dir.write(LIMIT, "2")?;
    Ok(Some(Room { dir }))
}

pub(crate) struct Room<'a> {
    dir: &'a Directory,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        // It could be written before; if not now, the limit is two.
        let _ = self.dir.write(LIMIT, "1");
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
