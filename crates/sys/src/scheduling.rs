//! How the schedulers of processors and of block devices treat this thread.
#![allow(unsafe_code, reason = "no crate wraps these calls")]

use crate::clone::last_errno;

/// What [`set_scheduler`] sets (`struct sched_attr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedulerAttributes {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Niceness, for the ordinary policies.
    pub nice: i32,
    /// Priority, for the real-time ones.
    pub priority: u32,
    /// Nanoseconds of work in each period, for deadlines.
    pub runtime: u64,
    /// Nanoseconds until the work must be done.
    pub deadline: u64,
    /// Nanoseconds of a period.
    pub period: u64,
}

/// Sets how the processors' scheduler treats this thread (`sched_setattr`).
pub fn set_scheduler(wanted: &SchedulerAttributes) -> rustix::io::Result<()> {
    #[repr(C)]
    struct Raw {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let raw = Raw {
        size: size_of::<Raw>() as u32,
        policy: wanted.policy,
        flags: wanted.flags,
        nice: wanted.nice,
        priority: wanted.priority,
        runtime: wanted.runtime,
        deadline: wanted.deadline,
        period: wanted.period,
    };
    // SAFETY: the structure is as long as it says, and outlives the call.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const raw, 0) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Sets how the block devices' scheduler treats this process (`ioprio_set`).
pub fn set_io_priority(class: u32, priority: u32) -> rustix::io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_SHIFT: u32 = 13;
    let value = class << CLASS_SHIFT | priority;
    // SAFETY: takes integers and touches no memory.
    match unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}
