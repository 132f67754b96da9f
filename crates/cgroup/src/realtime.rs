//! Real-time tasks on the old hierarchy: a cgroup gets of its parent's time, and a
//! new parent has none.

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::{Controller, Hierarchy};

/// Gives the cgroup `parent`, and those above it, time for real-time tasks:
/// microseconds in each period. `None` leaves the kernel's.
///
/// # Errors
/// `MissingController` where the kernel has no groups of real-time tasks; what the
/// kernel says when others have the time already.
pub fn allow_realtime(parent: &str, period: Option<u64>, runtime: Option<i64>) -> Result<()> {
    let missing = Error::MissingController {
        controller: "cpu realtime",
        limit: "the time of real-time tasks",
    };
    let hierarchy = Hierarchy::current()?;
    let mount = hierarchy
        .v1_of(Controller::Cpu)
        .and_then(|at| hierarchy.v1.get(at));
    let Some(mount) = mount.filter(|mount| mount.path.join("cpu.rt_runtime_us").exists()) else {
        return Err(missing);
    };
    let relative = Cgroup::relative(parent)?;
    let mut dir = Directory::new(mount.path.clone());
    for name in relative.split('/') {
        dir = Directory::make_below(&dir.path, name, |_, _| Ok(()))?;
        if let Some(period) = period {
            dir.write_number("cpu.rt_period_us", period)?;
        }
        if let Some(runtime) = runtime {
            dir.write_number("cpu.rt_runtime_us", runtime)?;
        }
    }
    Ok(())
}
