//! Control groups of one container: create, limit, freeze, measure, kill, remove.
//!
//! Works on the unified hierarchy (v2), on the old ones (v1), and on both at
//! once (hybrid: v1 controllers beside an almost empty v2 mount). The caller
//! sees one [`Cgroup`], which may be a directory in each of ten hierarchies.
//!
//! ```text
//! v1, hybrid   /sys/fs/cgroup/{cpu,memory,pids,…}/gantry/<id>   and, hybrid, /sys/fs/cgroup/unified/gantry/<id>
//! v2           /sys/fs/cgroup/gantry/<id>
//! ```
//!
//! A controller that the kernel lacks is an error only when a limit needs it.
//! Knows of OCI's resource records, and nothing of Docker.

mod abilities;
mod blkio;
mod cpu;
mod cpuset;
mod device_program;
mod devices;
mod directory;
mod error;
mod freezer;
mod group;
mod hierarchy;
mod hugetlb;
mod kill;
mod memory;
mod oci;
mod oom;
mod pids;
mod rdma;
mod realtime;
mod resources;
mod stats;
mod systemd;

pub use abilities::Abilities;
pub use error::{Error, Result};
pub use freezer::FreezerState;
pub use group::{Cgroup, DEFAULT_PARENT};
pub use hierarchy::{Controller, Hierarchy, Version};
pub use oom::OomWatch;
pub use realtime::allow_realtime;
pub use resources::{
    Access, BlockIo, Cpu, DeviceKind, DeviceRule, DeviceThrottle, DeviceWeight, HugepageLimit,
    Memory, Packets, RdmaLimit, Resources,
};
pub use stats::{BlockIoEntry, CpuStats, MemoryStats, PidsStats, Stats};
pub use systemd::{Scope, systemd_is_there};
