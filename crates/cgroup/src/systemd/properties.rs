//! Limits as properties of a unit, so that systemd writes the same when it writes
//! them anew. What systemd has no property for stays the kernel's alone.

use super::wire::Value;
use crate::cpu::weight;
use crate::memory::swap_alone;
use crate::resources::Resources;

/// systemd's word for "no limit".
const NONE: u64 = u64::MAX;
/// systemd keeps quotas in steps of 10 milliseconds for each second.
const QUOTA_STEP: u64 = 10_000;
/// The kernel's period, in microseconds.
const PERIOD: u64 = 100_000;

/// The properties that `resources` name.
pub(super) fn of(resources: &Resources, unified: bool) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let bytes = |number: i64| Value::Number(u64::try_from(number).unwrap_or(NONE));
    let set = |number: Option<i64>| number.filter(|&number| number != 0);
    let memory = &resources.memory;
    if let Some(limit) = set(memory.limit) {
        let name = if unified { "MemoryMax" } else { "MemoryLimit" };
        all.push((name, bytes(limit)));
    }
    if unified {
        if let Some(reservation) = set(memory.reservation) {
            all.push(("MemoryLow", bytes(reservation)));
        }
        let swap = set(memory.swap).map(|swap| swap_alone(set(memory.limit), swap));
        if let Some(Ok(swap)) = swap {
            all.push(("MemorySwapMax", bytes(swap)));
        }
    }
    let cpu = &resources.cpu;
    if let Some(shares) = cpu.shares.filter(|&shares| shares != 0) {
        all.push(match unified {
            true => ("CPUWeight", Value::Number(weight(shares))),
            false => ("CPUShares", Value::Number(shares)),
        });
    }
    if let Some(quota) = set(cpu.quota) {
        let period = cpu.period.filter(|&period| period != 0).unwrap_or(PERIOD);
        all.push((
            "CPUQuotaPerSecUSec",
            Value::Number(per_second(quota, period)),
        ));
    }
    if let Some(limit) = set(resources.pids) {
        all.push(("TasksMax", bytes(limit)));
    }
    all
}

/// Microseconds in each second, rounded up to what systemd can keep.
fn per_second(quota: i64, period: u64) -> u64 {
    let Ok(quota) = u64::try_from(quota) else {
        return NONE;
    };
    let micros = quota.saturating_mul(1_000_000) / period;
    micros.div_ceil(QUOTA_STEP) * QUOTA_STEP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{Cpu, Memory};

    #[test]
    fn limits_have_systemds_names() {
        let resources = Resources {
            memory: Memory {
                limit: Some(64 << 20),
                swap: Some(128 << 20),
                reservation: Some(0),
                ..Memory::default()
            },
            cpu: Cpu {
                shares: Some(1024),
                quota: Some(33_333),
                period: Some(100_000),
                ..Cpu::default()
            },
            pids: Some(-1),
            ..Resources::default()
        };
        let number = Value::Number;
        assert_eq!(
            of(&resources, true),
            [
                ("MemoryMax", number(64 << 20)),
                ("MemorySwapMax", number(64 << 20)),
                ("CPUWeight", number(39)),
                ("CPUQuotaPerSecUSec", number(340_000)),
                ("TasksMax", number(NONE)),
            ]
        );
        let names: Vec<_> = of(&resources, false)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            ["MemoryLimit", "CPUShares", "CPUQuotaPerSecUSec", "TasksMax"]
        );
    }
}
