//! What a container uses: the answer of `/containers/{id}/stats`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ZERO_TIME;
use crate::body::is_default;

/// One measurement, with the one before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContainerStats {
    /// With a slash.
    pub name: String,
    /// The container.
    pub id: String,
    /// When it was measured.
    pub read: String,
    /// When the one before was.
    pub preread: String,
    /// Tasks.
    pub pids_stats: PidsStats,
    /// Block devices.
    pub blkio_stats: BlkioStats,
    /// Windows only.
    pub num_procs: u32,
    /// Windows only.
    pub storage_stats: BTreeMap<String, u64>,
    /// Processor time.
    pub cpu_stats: CpuStats,
    /// The same, of the measurement before.
    pub precpu_stats: CpuStats,
    /// Memory.
    pub memory_stats: MemoryStats,
    /// By interface; left out where the container has none of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, InterfaceStats>,
}

impl Default for ContainerStats {
    /// What is told of a container that does not run.
    fn default() -> Self {
        Self {
            name: String::new(),
            id: String::new(),
            read: ZERO_TIME.to_owned(),
            preread: ZERO_TIME.to_owned(),
            pids_stats: PidsStats::default(),
            blkio_stats: BlkioStats::default(),
            num_procs: 0,
            storage_stats: BTreeMap::new(),
            cpu_stats: CpuStats::default(),
            precpu_stats: CpuStats::default(),
            memory_stats: MemoryStats::default(),
            networks: BTreeMap::new(),
        }
    }
}

/// Number of tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PidsStats {
    /// Now.
    #[serde(skip_serializing_if = "is_default")]
    pub current: u64,
    /// The most that may be.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// Block devices; `None` is what this version of cgroups does not count.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the kernel's names")]
pub struct BlkioStats {
    pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
    pub io_serviced_recursive: Option<Vec<BlkioEntry>>,
    pub io_queue_recursive: Option<Vec<BlkioEntry>>,
    pub io_service_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_wait_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_merged_recursive: Option<Vec<BlkioEntry>>,
    pub io_time_recursive: Option<Vec<BlkioEntry>>,
    pub sectors_recursive: Option<Vec<BlkioEntry>>,
}

/// One counter of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `Read`, `Write`, … on v1, `read` and `write` on v2.
    pub op: String,
    /// The counter.
    pub value: u64,
}

/// Processor time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CpuStats {
    /// The container's, in nanoseconds.
    pub cpu_usage: CpuUsage,
    /// The machine's, idle time included, in nanoseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub system_cpu_usage: u64,
    /// How many processors there are.
    #[serde(skip_serializing_if = "is_default")]
    pub online_cpus: u32,
    /// What its quota did.
    pub throttling_data: ThrottlingData,
}

/// Nanoseconds of processor time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CpuUsage {
    /// All of it.
    pub total_usage: u64,
    /// By processor; on v1 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_usage: Vec<u64>,
    /// In the kernel.
    pub usage_in_kernelmode: u64,
    /// In programs.
    pub usage_in_usermode: u64,
}

/// What a quota did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ThrottlingData {
    /// Periods in which it ran.
    pub periods: u64,
    /// Periods in which it was stopped.
    pub throttled_periods: u64,
    /// For how many nanoseconds.
    pub throttled_time: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MemoryStats {
    /// In use, page cache included.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// The most ever in use; on v1 only.
    #[serde(skip_serializing_if = "is_default")]
    pub max_usage: u64,
    /// Lines of the kernel's `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stats: BTreeMap<String, u64>,
    /// How often the limit was hit; on v2 how often memory ran out.
    #[serde(skip_serializing_if = "is_default")]
    pub failcnt: u64,
    /// The limit; the machine's memory where there is none.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// Counters of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the kernel's names")]
pub struct InterfaceStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Docker 28.5, of a container that never ran.
    const NOTHING: &str = r#"{"name":"/st","id":"0baa","read":"0001-01-01T00:00:00Z","preread":"0001-01-01T00:00:00Z","pids_stats":{},"blkio_stats":{"io_service_bytes_recursive":null,"io_serviced_recursive":null,"io_queue_recursive":null,"io_service_time_recursive":null,"io_wait_time_recursive":null,"io_merged_recursive":null,"io_time_recursive":null,"sectors_recursive":null},"num_procs":0,"storage_stats":{},"cpu_stats":{"cpu_usage":{"total_usage":0,"usage_in_kernelmode":0,"usage_in_usermode":0},"throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"precpu_stats":{"cpu_usage":{"total_usage":0,"usage_in_kernelmode":0,"usage_in_usermode":0},"throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},"memory_stats":{}}"#;

    #[test]
    fn nothing_is_told_in_dockers_words() {
        let stats = ContainerStats {
            name: "/st".to_owned(),
            id: "0baa".to_owned(),
            ..ContainerStats::default()
        };
        assert_eq!(serde_json::to_string(&stats).unwrap(), NOTHING);
    }
}
