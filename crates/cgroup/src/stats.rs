//! What a cgroup uses, in units that do not depend on the hierarchy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One measurement of a cgroup. What the kernel does not measure is zero or empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Memory.
    pub memory: MemoryStats,
    /// Processor time.
    pub cpu: CpuStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Bytes moved, for each device and operation.
    pub io_service_bytes: Vec<BlockIoEntry>,
    /// Operations, for each device and operation.
    pub io_serviced: Vec<BlockIoEntry>,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// In use now, page cache included.
    pub usage: u64,
    /// The most ever in use, where the kernel keeps it.
    pub max_usage: u64,
    /// The limit; `u64::MAX` is none.
    pub limit: u64,
    /// How often the limit was hit.
    pub fail_count: u64,
    /// How often memory ran out; on v2 only.
    #[serde(default)]
    pub out_of_memory: u64,
    /// How many tasks the kernel killed for want of memory.
    pub oom_kills: u64,
    /// Every line of `memory.stat`.
    pub detail: BTreeMap<String, u64>,
}

/// Processor time in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuStats {
    /// All of it.
    pub total: u64,
    /// In user space.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// By processor; empty on v2.
    pub per_cpu: Vec<u64>,
    /// Periods in which the cgroup wanted to run.
    pub periods: u64,
    /// Periods in which it was stopped by its quota.
    pub throttled_periods: u64,
    /// How long it was stopped.
    pub throttled_time: u64,
}

/// Number of tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// The limit; zero is none.
    pub limit: u64,
}

/// One counter of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIoEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// As the kernel writes it: `Read`, `Write`, … on v1, and `read` and `write` on v2.
    pub operation: String,
    /// The counter.
    pub value: u64,
}
