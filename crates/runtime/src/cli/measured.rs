//! A measurement as runc prints it: its names, its order, and what is nothing
//! left out where runc leaves it out.

use std::collections::BTreeMap;

use gantry_cgroup::{BlockIoEntry, Stats};
use serde::Serialize;

/// A line of `events`.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Measured<'a>>,
}

/// All that is measured.
#[derive(Serialize)]
pub(super) struct Measured<'a> {
    cpu: Cpu<'a>,
    cpuset: Cpuset,
    memory: Memory<'a>,
    pids: Pids,
    blkio: BlockIo<'a>,
    hugetlb: Nothing,
    intel_rdt: Nothing,
    network_interfaces: Option<()>,
}

/// What nobody asks this runtime for, as an empty document.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Cpu<'a> {
    usage: CpuUsage<'a>,
    throttling: Throttling,
}

#[derive(Serialize)]
struct CpuUsage<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    percpu: &'a [u64],
    kernel: u64,
    user: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

#[derive(Serialize, Default)]
struct Cpuset {
    cpu_exclusive: u64,
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: Entry,
    swap: Entry,
    kernel: Entry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: Entry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: &'a BTreeMap<String, u64>,
}

#[derive(Serialize, Default)]
struct Entry {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockIo<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<Counter<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<Counter<'a>>,
}

#[derive(Serialize)]
struct Counter<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    op: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl<'a> Measured<'a> {
    pub(super) fn of(stats: &'a Stats) -> Self {
        let (cpu, memory) = (&stats.cpu, &stats.memory);
        let detail = |key: &str| memory.detail.get(key).copied().unwrap_or(0);
        Self {
            cpu: Cpu {
                usage: CpuUsage {
                    total: cpu.total,
                    percpu: &cpu.per_cpu,
                    kernel: cpu.system,
                    user: cpu.user,
                },
                throttling: Throttling {
                    periods: cpu.periods,
                    throttled_periods: cpu.throttled_periods,
                    throttled_time: cpu.throttled_time,
                },
            },
            cpuset: Cpuset::default(),
            memory: Memory {
                // The same thing on v1 and on v2.
                cache: detail("cache").max(detail("file")),
                usage: Entry {
                    limit: memory.limit,
                    usage: memory.usage,
                    max: memory.max_usage,
                    failcnt: memory.fail_count,
                },
                swap: Entry::default(),
                kernel: Entry::default(),
                kernel_tcp: Entry::default(),
                raw: &memory.detail,
            },
            pids: Pids {
                current: stats.pids.current,
                limit: stats.pids.limit,
            },
            blkio: BlockIo {
                io_service_bytes_recursive: counters(&stats.io_service_bytes),
                io_serviced_recursive: counters(&stats.io_serviced),
            },
            hugetlb: Nothing {},
            intel_rdt: Nothing {},
            network_interfaces: None,
        }
    }
}

fn counters(list: &[BlockIoEntry]) -> Vec<Counter<'_>> {
    list.iter()
        .map(|entry| Counter {
            major: entry.major,
            minor: entry.minor,
            op: &entry.operation,
            value: entry.value,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_runcs() {
        let stats = Stats::default();
        let event = |data| Event {
            kind: "oom",
            id: "x",
            data,
        };
        let text = |data| serde_json::to_string(&event(data)).unwrap();
        assert_eq!(text(None), r#"{"type":"oom","id":"x"}"#);
        let whole = text(Some(Measured::of(&stats)));
        let start = r#"{"type":"oom","id":"x","data":{"cpu":{"usage":{"kernel":0,"user":0},"throttling":{}},"cpuset":{"#;
        assert!(whole.starts_with(start), "{whole}");
        assert!(whole.ends_with(r#""network_interfaces":null}}"#), "{whole}");
    }
}
