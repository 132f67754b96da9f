//! From measurements to what clients are told: Docker's names, and of
//! `memory.stat` the lines that Docker shows for each version of cgroups.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

use gantry_api::{
    BlkioEntry, BlkioStats, ContainerStats, CpuStats, CpuUsage, MemoryStats, PidsStats,
    ThrottlingData, rfc3339_nano,
};
use gantry_cgroup::BlockIoEntry;

use super::sample::Sample;

/// Lines of v1; each but the last two has another one with `total_` before it.
const V1: [&str; 17] = [
    "cache",
    "rss",
    "rss_huge",
    "mapped_file",
    "dirty",
    "writeback",
    "pgpgin",
    "pgpgout",
    "pgfault",
    "pgmajfault",
    "inactive_anon",
    "active_anon",
    "inactive_file",
    "active_file",
    "unevictable",
    "hierarchical_memory_limit",
    "hierarchical_memsw_limit",
];

/// Lines of v2. What this kernel does not count is zero.
const V2: [&str; 31] = [
    "anon",
    "file",
    "kernel_stack",
    "slab",
    "sock",
    "shmem",
    "file_mapped",
    "file_dirty",
    "file_writeback",
    "anon_thp",
    "inactive_anon",
    "active_anon",
    "inactive_file",
    "active_file",
    "unevictable",
    "slab_reclaimable",
    "slab_unreclaimable",
    "pgfault",
    "pgmajfault",
    "workingset_refault",
    "workingset_activate",
    "workingset_nodereclaim",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "pgactivate",
    "pgdeactivate",
    "pglazyfree",
    "pglazyfreed",
    "thp_fault_alloc",
    "thp_collapse_alloc",
];

/// What is told of a measurement, and of the one before it. `machine` is the
/// machine's memory in bytes.
pub(crate) fn of(
    now: &Sample,
    before: Option<&Sample>,
    unified: bool,
    machine: u64,
) -> ContainerStats {
    let mut stats = ContainerStats {
        read: rfc3339_nano(now.read),
        pids_stats: pids(now, unified),
        blkio_stats: block_io(now, unified),
        cpu_stats: cpu(now),
        memory_stats: memory(now, unified, machine),
        networks: now.networks.clone(),
        ..ContainerStats::default()
    };
    if let Some(before) = before {
        stats.preread = rfc3339_nano(before.read);
        stats.precpu_stats = cpu(before);
    }
    stats
}

fn pids(now: &Sample, unified: bool) -> PidsStats {
    let pids = &now.group.pids;
    PidsStats {
        current: pids.current,
        limit: match pids.limit {
            // Docker tells "none" so where cgroups are unified.
            0 if unified => u64::MAX,
            limit => limit,
        },
    }
}

fn cpu(sample: &Sample) -> CpuStats {
    let cpu = &sample.group.cpu;
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: cpu.total,
            percpu_usage: cpu.per_cpu.clone(),
            usage_in_kernelmode: cpu.system,
            usage_in_usermode: cpu.user,
        },
        system_cpu_usage: sample.processors.time,
        online_cpus: sample.processors.online,
        throttling_data: ThrottlingData {
            periods: cpu.periods,
            throttled_periods: cpu.throttled_periods,
            throttled_time: cpu.throttled_time,
        },
    }
}

fn memory(now: &Sample, unified: bool, machine: u64) -> MemoryStats {
    let memory = &now.group.memory;
    MemoryStats {
        usage: memory.usage,
        max_usage: if unified { 0 } else { memory.max_usage },
        stats: match unified {
            true => lines_v2(&memory.detail),
            false => lines_v1(&memory.detail),
        },
        failcnt: match unified {
            true => memory.out_of_memory,
            false => memory.fail_count,
        },
        limit: memory.limit.min(machine),
    }
}

fn lines_v1(detail: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let own = V1.iter().map(|&key| key.to_owned());
    let total = V1.iter().map(|key| format!("total_{key}"));
    own.chain(total)
        .filter_map(|key| detail.get(&key).map(|&value| (key, value)))
        .into_map()
}

fn lines_v2(detail: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let value = |key: &str| {
        let get = |key: &str| detail.get(key).copied();
        // Newer kernels count these by kind.
        let kinds = || {
            let kinds = ["anon", "file"].map(|kind| get(&format!("{key}_{kind}")));
            kinds.into_iter().flatten().sum()
        };
        get(key).unwrap_or_else(kinds)
    };
    V2.iter()
        .map(|&key| (key.to_owned(), value(key)))
        .into_map()
}

/// v1 has lists for what only an old scheduler counted, v2 has none.
fn block_io(now: &Sample, unified: bool) -> BlkioStats {
    let bytes = entries(&now.group.io_service_bytes);
    if unified {
        return BlkioStats {
            io_service_bytes_recursive: Some(bytes).filter(|bytes| !bytes.is_empty()),
            ..BlkioStats::default()
        };
    }
    BlkioStats {
        io_service_bytes_recursive: Some(bytes),
        io_serviced_recursive: Some(entries(&now.group.io_serviced)),
        io_queue_recursive: Some(Vec::new()),
        io_service_time_recursive: Some(Vec::new()),
        io_wait_time_recursive: Some(Vec::new()),
        io_merged_recursive: Some(Vec::new()),
        io_time_recursive: Some(Vec::new()),
        sectors_recursive: Some(Vec::new()),
    }
}

fn entries(list: &[BlockIoEntry]) -> Vec<BlkioEntry> {
    let entry = |entry: &BlockIoEntry| BlkioEntry {
        major: entry.major,
        minor: entry.minor,
        op: entry.operation.clone(),
        value: entry.value,
    };
    list.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_cgroup::Stats;

    fn sample(detail: &[(&str, u64)]) -> Sample {
        let mut group = Stats::default();
        group.memory.limit = u64::MAX;
        group.memory.max_usage = 7;
        let detail = detail
            .iter()
            .map(|(key, value)| ((*key).to_owned(), *value));
        group.memory.detail = detail.collect();
        Sample {
            read: 1_000_000_000,
            group,
            processors: Default::default(),
            networks: BTreeMap::new(),
        }
    }

    #[test]
    fn each_version_has_its_own_lines() {
        let now = sample(&[
            ("cache", 1),
            ("total_cache", 2),
            ("swap", 3),
            ("anon", 4),
            ("workingset_refault_anon", 5),
            ("workingset_refault_file", 6),
        ]);
        let v1 = of(&now, None, false, 100);
        let lines: Vec<_> = v1.memory_stats.stats.iter().collect();
        assert_eq!(
            lines,
            [(&"cache".to_owned(), &1), (&"total_cache".to_owned(), &2)]
        );
        assert_eq!((v1.memory_stats.limit, v1.memory_stats.max_usage), (100, 7));
        assert_eq!(v1.pids_stats.limit, 0);
        let v2 = of(&now, Some(&now), true, 100);
        assert_eq!(v2.memory_stats.stats.len(), V2.len());
        assert_eq!(v2.memory_stats.stats["workingset_refault"], 11);
        assert_eq!(v2.memory_stats.max_usage, 0);
        assert_eq!(v2.pids_stats.limit, u64::MAX);
        assert_eq!(v2.blkio_stats, BlkioStats::default());
        assert_eq!(v2.preread, v2.read);
    }
}
