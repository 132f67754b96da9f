//! Which limits this machine's kernel has, found by its files.
//!
//! On the unified hierarchy only a cgroup below the root has them: where there is
//! none yet, one is made for the look and removed again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::hierarchy::{Controller, Hierarchy};

/// What can be limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the limits' names")]
pub struct Abilities {
    pub memory: bool,
    pub swap: bool,
    /// Buffers of TCP alone; v1 only.
    pub kernel_memory_tcp: bool,
    /// That nothing is killed when memory runs out; v1 only.
    pub oom_kill_disable: bool,
    pub swappiness: bool,
    pub cpu_quota: bool,
    pub cpu_shares: bool,
    /// Real-time tasks; v1 only.
    pub cpu_realtime: bool,
    pub cpuset: bool,
    pub pids: bool,
    /// Shares of block devices.
    pub block_weight: bool,
    /// Rates of block devices.
    pub block_throttle: bool,
}

impl Hierarchy {
    /// What can be limited here.
    pub fn abilities(&self) -> Abilities {
        use Controller as C;
        // A cgroup that was made before its controllers were handed down tells
        // nothing about them: then the kernel is taken to be an ordinary one.
        let probe = self.unified.as_deref().and_then(Probe::new);
        let has = |controller: C, v1: &str, v2: &[&str]| {
            if let Some(mount) = self.v1_of(controller).and_then(|at| self.v1.get(at)) {
                return mount.path.join(v1).exists();
            }
            let always = v2.first().is_none_or(|first| EVERYWHERE.contains(first));
            let looked_at = probe.as_ref().filter(|probe| {
                !always
                    && probe.has(if controller == C::Memory {
                        "memory.max"
                    } else {
                        "io.max"
                    })
            });
            self.unified_has(controller)
                && !v2.is_empty()
                && looked_at.is_none_or(|probe| v2.iter().any(|file| probe.has(file)))
        };
        let only_v1 = |controller, file| has(controller, file, &[]);
        Abilities {
            memory: has(C::Memory, "memory.limit_in_bytes", &["memory.max"]),
            swap: has(
                C::Memory,
                "memory.memsw.limit_in_bytes",
                &["memory.swap.max"],
            ),
            kernel_memory_tcp: only_v1(C::Memory, "memory.kmem.tcp.limit_in_bytes"),
            oom_kill_disable: only_v1(C::Memory, "memory.oom_control"),
            swappiness: only_v1(C::Memory, "memory.swappiness"),
            cpu_quota: has(C::Cpu, "cpu.cfs_quota_us", &["cpu.max"]),
            cpu_shares: has(C::Cpu, "cpu.shares", &["cpu.weight"]),
            cpu_realtime: only_v1(C::Cpu, "cpu.rt_runtime_us"),
            cpuset: has(C::Cpuset, "cpuset.cpus", &["cpuset.cpus"]),
            // The root of an old hierarchy has no limit of its own.
            pids: has(C::Pids, "tasks", &["pids.max"]),
            block_weight: has(C::BlockIo, "blkio.weight", &["io.weight", "io.bfq.weight"]),
            block_throttle: has(C::BlockIo, "blkio.throttle.read_bps_device", &["io.max"]),
        }
    }
}

/// Files that every kernel with the controller has.
const EVERYWHERE: [&str; 6] = [
    "memory.max",
    "cpu.max",
    "cpu.weight",
    "cpuset.cpus",
    "pids.max",
    "io.max",
];

/// A cgroup to look at.
struct Probe {
    path: PathBuf,
    made: bool,
}

impl Probe {
    /// Any cgroup below the root, or a new one.
    fn new(root: &Path) -> Option<Self> {
        let mut below = fs::read_dir(root).ok()?.flatten();
        let group = below.find(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        if let Some(group) = group {
            let path = group.path();
            return Some(Self { path, made: false });
        }
        let path = root.join(format!("gantry-look-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let probe = Self { path, made: true };
        // As for containers: those above must hand the controllers down.
        for name in fs::read_to_string(root.join("cgroup.controllers"))
            .unwrap_or_default()
            .split_whitespace()
        {
            let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{name}"));
        }
        Some(probe)
    }

    fn has(&self, file: &str) -> bool {
        !file.is_empty() && self.path.join(file).exists()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if self.made {
            // Empty, and nobody else knows of it.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing() {
        let root = std::env::temp_dir().join(format!("gantry-probe-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let probe = Probe::new(&root).unwrap();
        assert!(probe.made && !probe.has("memory.max") && !probe.has(""));
        drop(probe);
        assert!(fs::read_dir(&root).unwrap().next().is_none());
        fs::remove_dir(&root).unwrap();
    }
}
