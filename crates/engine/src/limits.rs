//! Which limits can be set on this machine, as `info` tells it, and what is said
//! about those that cannot.

use gantry_cgroup::{Abilities, Hierarchy};

use crate::config::EngineConfig;
use crate::error::{Error, Result};

/// What the kernel has; nothing where no cgroups are mounted.
pub(crate) fn abilities() -> Abilities {
    Hierarchy::current().map_or_else(|_| Abilities::default(), Hierarchy::abilities)
}

/// Gives the containers' parent what the configuration has for real-time tasks.
///
/// # Errors
/// `Invalid`, when this machine cannot.
pub(crate) fn allow_realtime(config: &EngineConfig) -> Result<()> {
    let period = Some(config.realtime_period).filter(|&period| period != 0);
    let runtime = Some(config.realtime_runtime).filter(|&runtime| runtime != 0);
    if period.is_none() && runtime.is_none() {
        return Ok(());
    }
    gantry_cgroup::allow_realtime(&config.cgroup_parent, period, runtime)
        .map_err(|error| Error::Invalid(format!("real-time tasks: {error}")))
}

/// What the user of this machine should know, in Docker's words.
pub(crate) fn warnings(has: &Abilities, unified: bool) -> Vec<String> {
    let v1 = !unified;
    // Where it is missed, whether it is there, and its name.
    let checks = [
        (true, has.memory, "memory limit"),
        (true, has.swap, "swap limit"),
        (v1, has.kernel_memory_tcp, "kernel memory TCP limit"),
        (v1, has.oom_kill_disable, "oom kill disable"),
        (true, has.cpu_quota, "cpu cfs quota"),
        (true, has.cpu_quota, "cpu cfs period"),
        (true, has.cpu_shares, "cpu shares"),
        (true, has.cpuset, "cpuset"),
        (true, has.pids, "pids limit"),
        (unified, has.block_weight, "io.weight"),
        (unified, has.block_weight, "io.weight (per device)"),
        (unified, has.block_throttle, "io.max (rbps)"),
        (unified, has.block_throttle, "io.max (wbps)"),
        (unified, has.block_throttle, "io.max (riops)"),
        (unified, has.block_throttle, "io.max (wiops)"),
        (v1, has.block_throttle, "blkio throttle.read_bps_device"),
        (v1, has.block_throttle, "blkio throttle.write_bps_device"),
        (v1, has.block_throttle, "blkio throttle.read_iops_device"),
        (v1, has.block_throttle, "blkio throttle.write_iops_device"),
    ];
    checks
        .iter()
        .filter(|(missed, there, _)| *missed && !there)
        .map(|(_, _, name)| format!("WARNING: No {name} support"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let mut has = Abilities {
            memory: true,
            swap: true,
            cpu_quota: true,
            cpu_shares: true,
            cpuset: true,
            pids: true,
            block_weight: true,
            block_throttle: true,
            ..Abilities::default()
        };
        assert!(warnings(&has, true).is_empty());
        has.swap = false;
        assert_eq!(warnings(&has, true), ["WARNING: No swap limit support"]);
        assert_eq!(warnings(&has, false).len(), 3);
    }
}
