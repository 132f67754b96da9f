//! Memory as PSS: each page counted once, shared among those who have it.

use std::fs;

use crate::cpu::CpuGroup;

/// The PSS of an engine's processes in bytes: all of its cgroup but for the
/// containers' own processes, which run `program`.
pub fn engine(group: &CpuGroup, program: &str) -> u64 {
    group
        .processes()
        .into_iter()
        .filter(|pid| comm(*pid).is_some_and(|comm| comm != program))
        .filter_map(pss)
        .sum()
}

/// The PSS of an engine's largest process, which is its daemon.
pub fn largest(group: &CpuGroup) -> u64 {
    let processes = group.processes().into_iter();
    processes.filter_map(pss).max().unwrap_or(0)
}

/// The most memory in bytes that one of the processes called `program` ever had.
pub fn peak(group: &CpuGroup, program: &str) -> u64 {
    let processes = group.processes().into_iter();
    processes
        .filter(|pid| comm(*pid).is_some_and(|comm| comm == program))
        .filter_map(high_water)
        .max()
        .unwrap_or(0)
}

/// The most memory in bytes that one of an engine's processes ever had: its daemon.
pub fn highest(group: &CpuGroup) -> u64 {
    let processes = group.processes().into_iter();
    processes.filter_map(high_water).max().unwrap_or(0)
}

/// Lets the most memory that an engine's processes ever had be what they have now.
pub fn forget_peaks(group: &CpuGroup) {
    for pid in group.processes() {
        // One that has ended meanwhile has no peak.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// The most memory in bytes that a process ever had.
pub fn high_water(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

fn comm(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(text.trim_end().to_owned())
}

fn pss(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
