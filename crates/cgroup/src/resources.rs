//! The limits of a cgroup as plain data. `None` and empty mean "leave the
//! kernel's default"; the meaning of each number is OCI's, whatever the
//! hierarchy (shares, not weights; memory+swap, not swap).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that can be limited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory limits.
    pub memory: Memory,
    /// Processor limits.
    pub cpu: Cpu,
    /// The largest number of tasks; zero or less is "no limit".
    pub pids: Option<i64>,
    /// Block device limits.
    pub block_io: BlockIo,
    /// Device rules in order; a later one overrides an earlier one.
    pub devices: Vec<DeviceRule>,
    /// Huge page limits, one for each page size.
    pub hugepages: Vec<HugepageLimit>,
    /// Limits of RDMA devices.
    pub rdma: Vec<RdmaLimit>,
    /// How packets are marked (v1 only).
    pub packets: Packets,
    /// Values for files of the unified hierarchy, written as they are.
    pub unified: BTreeMap<String, String>,
}

/// Memory limits in bytes; -1 is "no limit".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The hard limit.
    pub limit: Option<i64>,
    /// The soft limit.
    pub reservation: Option<i64>,
    /// The limit of memory and swap together.
    pub swap: Option<i64>,
    /// Kernel memory for TCP buffers (v1 only).
    pub kernel_tcp: Option<i64>,
    /// 0–100: how eagerly anonymous pages are swapped out (v1 only).
    pub swappiness: Option<u64>,
    /// Processes wait instead of being killed when the limit is hit (v1 only).
    pub disable_oom_killer: bool,
}

/// Processor limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Relative weight, 2–262144, 1024 by default; zero leaves the default.
    pub shares: Option<u64>,
    /// Microseconds per period; zero or less is "no limit".
    pub quota: Option<i64>,
    /// The period in microseconds; zero leaves the default.
    pub period: Option<u64>,
    /// Microseconds that may be saved up for bursts.
    pub burst: Option<u64>,
    /// Microseconds per period for real-time tasks (v1 only).
    pub realtime_runtime: Option<i64>,
    /// The period for real-time tasks in microseconds (v1 only).
    pub realtime_period: Option<u64>,
    /// Whether to run only when nothing else wants to.
    pub idle: Option<i64>,
    /// Processors that may be used, as a list of ranges.
    pub cpus: Option<String>,
    /// Memory nodes that may be used, as a list of ranges.
    pub mems: Option<String>,
}

/// Block device limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockIo {
    /// Relative weight, 10–1000; zero leaves the default.
    pub weight: Option<u16>,
    /// Weights for single devices.
    pub weight_device: Vec<DeviceWeight>,
    /// Bytes read per second.
    pub read_bps: Vec<DeviceThrottle>,
    /// Bytes written per second.
    pub write_bps: Vec<DeviceThrottle>,
    /// Reads per second.
    pub read_iops: Vec<DeviceThrottle>,
    /// Writes per second.
    pub write_iops: Vec<DeviceThrottle>,
}

/// The weight of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeviceWeight {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// 10–1000.
    pub weight: u16,
}

/// The highest rate of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeviceThrottle {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Bytes or operations per second.
    pub rate: u64,
}

/// Which devices a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Both kinds.
    All,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// The accesses a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Making the device node.
    pub mknod: bool,
}

impl Access {
    /// Reading, writing and making the node.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        mknod: true,
    };
}

/// Allows or denies some accesses to some devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether access is allowed.
    pub allow: bool,
    /// Kind of device. With `All` the numbers and accesses are ignored.
    pub kind: DeviceKind,
    /// Major number; `None` is any.
    pub major: Option<i64>,
    /// Minor number; `None` is any.
    pub minor: Option<i64>,
    /// The accesses.
    pub access: Access,
}

/// The limit of huge pages of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HugepageLimit {
    /// The page size as the kernel writes it, such as `2MB`.
    pub page_size: String,
    /// Bytes; -1 is "no limit".
    pub limit: i64,
}

/// The limits of one RDMA device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdmaLimit {
    /// Its name.
    pub device: String,
    /// Handles of the adapter.
    pub handles: Option<u32>,
    /// Objects of the adapter.
    pub objects: Option<u32>,
}

/// How packets are marked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Packets {
    /// Their class; zero leaves it.
    pub class: Option<u32>,
    /// Interfaces, and the priority of packets to them.
    pub priorities: Vec<(String, u32)>,
}
