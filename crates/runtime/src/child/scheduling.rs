//! On which processors a process runs, and how the schedulers treat it.

use gantry_oci::{ExecCpuAffinity, IoPriorityClass, Process, SchedulerFlag, SchedulerPolicy};
use gantry_sys::SchedulerAttributes;
use rustix::io::Errno;
use rustix::thread::CpuSet;

use super::at;
use crate::error::{StartError, Step};

/// Applies `scheduler` and `ioPriority`.
pub(super) fn apply(process: &Process) -> Result<(), StartError> {
    if let Some(wanted) = &process.scheduler {
        let attributes = SchedulerAttributes {
            policy: policy(wanted.policy),
            flags: wanted
                .flags
                .iter()
                .fold(0, |all, flag| all | self::flag(*flag)),
            nice: wanted.nice.unwrap_or(0),
            priority: u32::try_from(wanted.priority.unwrap_or(0)).unwrap_or(0),
            runtime: wanted.runtime.unwrap_or(0),
            deadline: wanted.deadline.unwrap_or(0),
            period: wanted.period.unwrap_or(0),
        };
        gantry_sys::set_scheduler(&attributes).map_err(|errno| {
            let error = StartError::new(Step::Attributes, errno, "scheduler");
            match errno {
                // Deadlines need all processors of the machine.
                Errno::PERM if wanted.policy == SchedulerPolicy::Deadline => {
                    error.with_detail("process scheduler can't be used together with AllowedCPUs")
                }
                _ => error,
            }
        })?;
    }
    if let Some(wanted) = &process.io_priority {
        let class = match wanted.class {
            IoPriorityClass::RealTime => 1,
            IoPriorityClass::BestEffort => 2,
            IoPriorityClass::Idle => 3,
        };
        let priority = u32::try_from(wanted.priority).unwrap_or(0);
        gantry_sys::set_io_priority(class, priority).map_err(at(Step::Attributes, "ioPriority"))?;
    }
    Ok(())
}

/// All processors that the cgroup allows, however its maker was bound.
pub(super) fn all_processors() {
    let mut set = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
    // Where it may not be, the process keeps what it has inherited.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// What a process that joins a container has until it sits in its cgroup. It is
/// born in there: only what the cgroup allows of this can have an effect.
pub(super) fn before_join(wanted: Option<&ExecCpuAffinity>) -> Result<(), StartError> {
    match wanted.and_then(|wanted| wanted.initial.as_deref()) {
        Some(list) => match bind(list) {
            Err(error) if error.errno == libc::EINVAL => Ok(()),
            other => other,
        },
        None => Ok(()),
    }
}

/// What it has from then on.
pub(super) fn after_join(wanted: Option<&ExecCpuAffinity>) -> Result<(), StartError> {
    match wanted {
        None => all_processors(),
        Some(wanted) => {
            if let Some(list) = wanted.last.as_deref() {
                bind(list)?;
            }
        }
    }
    Ok(())
}

fn bind(list: &str) -> Result<(), StartError> {
    if list.trim().is_empty() {
        return Ok(());
    }
    let set = parse(list).ok_or_else(|| {
        StartError::other(Step::Spec, "process.execCPUAffinity", format!("{list:?}"))
    })?;
    rustix::thread::sched_setaffinity(None, &set).map_err(at(Step::Attributes, "execCPUAffinity"))
}

/// Whether the text is a list of processors.
pub(crate) fn is_list(list: &str) -> bool {
    list.trim().is_empty() || parse(list).is_some()
}

/// A list of numbers and ranges, such as `0-3,7`.
fn parse(list: &str) -> Option<CpuSet> {
    let mut set = CpuSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= CpuSet::MAX_CPU {
            return None;
        }
        (first..=last).for_each(|cpu| set.set(cpu));
    }
    Some(set)
}

fn policy(policy: SchedulerPolicy) -> u32 {
    match policy {
        SchedulerPolicy::Other => 0,
        SchedulerPolicy::Fifo => 1,
        SchedulerPolicy::RoundRobin => 2,
        SchedulerPolicy::Batch => 3,
        SchedulerPolicy::Iso => 4,
        SchedulerPolicy::Idle => 5,
        SchedulerPolicy::Deadline => 6,
    }
}

fn flag(flag: SchedulerFlag) -> u64 {
    match flag {
        SchedulerFlag::ResetOnFork => 0x01,
        SchedulerFlag::Reclaim => 0x02,
        SchedulerFlag::DeadlineOverrun => 0x04,
        SchedulerFlag::KeepPolicy => 0x08,
        SchedulerFlag::KeepParameters => 0x10,
        SchedulerFlag::UtilizationMinimum => 0x20,
        SchedulerFlag::UtilizationMaximum => 0x40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        let set = parse("0-2,5").unwrap();
        assert!(set.is_set(2) && !set.is_set(3) && set.is_set(5));
        for bad in ["x", "3-1", "1-", "1,,2", "99999"] {
            assert!(!is_list(bad), "{bad}");
        }
        assert!(is_list(""));
    }
}
