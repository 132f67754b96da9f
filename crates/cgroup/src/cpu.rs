//! Processor time: `cpu` and `cpuacct`.

use crate::directory::{Directory, keyed_lines};
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::resources::Cpu;
use crate::stats::CpuStats;

pub(crate) fn apply(group: &Cgroup, cpu: &Cpu) -> Result<()> {
    let wanted = Cpu {
        cpus: None,
        mems: None,
        shares: cpu.shares.filter(|&n| n != 0),
        period: cpu.period.filter(|&n| n != 0),
        quota: cpu.quota.filter(|&n| n != 0),
        realtime_period: cpu.realtime_period.filter(|&n| n != 0),
        realtime_runtime: cpu.realtime_runtime.filter(|&n| n != 0),
        ..cpu.clone()
    };
    if wanted == Cpu::default() {
        return Ok(());
    }
    if let Some(dir) = group.v1_dir(Controller::Cpu) {
        apply_v1(dir, &wanted)
    } else if let Some(dir) = group.v2_dir(Controller::Cpu) {
        apply_v2(dir, &wanted)
    } else {
        Err(Error::MissingController {
            controller: "cpu",
            limit: "processor time",
        })
    }
}

fn apply_v1(dir: &Directory, cpu: &Cpu) -> Result<()> {
    if let Some(shares) = cpu.shares {
        dir.write_number("cpu.shares", shares)?;
    }
    // A new period may be refused while the old quota does not fit it, and the
    // other way round: what is refused first is tried again after the other.
    let period_refused = match cpu.period {
        Some(period) => dir.write_number("cpu.cfs_period_us", period).is_err(),
        None => false,
    };
    if let Some(quota) = cpu.quota {
        dir.write_number("cpu.cfs_quota_us", quota)?;
    }
    if let (true, Some(period)) = (period_refused, cpu.period) {
        dir.write_number("cpu.cfs_period_us", period)?;
    }
    if let Some(burst) = cpu.burst {
        dir.write_number("cpu.cfs_burst_us", burst)?;
    }
    if let Some(period) = cpu.realtime_period {
        dir.write_number("cpu.rt_period_us", period)?;
    }
    if let Some(runtime) = cpu.realtime_runtime {
        dir.write_number("cpu.rt_runtime_us", runtime)?;
    }
    if let Some(idle) = cpu.idle {
        dir.write_number("cpu.idle", idle)?;
    }
    Ok(())
}

fn apply_v2(dir: &Directory, cpu: &Cpu) -> Result<()> {
    if cpu.realtime_period.is_some() || cpu.realtime_runtime.is_some() {
        return Err(Error::InvalidSetting {
            setting: "realtime period or runtime".to_owned(),
            reason: "the unified hierarchy has no real-time limits",
        });
    }
    if let Some(idle) = cpu.idle {
        dir.write_number("cpu.idle", idle)?;
    }
    if let Some(shares) = cpu.shares {
        dir.write_number("cpu.weight", weight(shares))?;
    }
    if cpu.quota.is_some() || cpu.period.is_some() {
        let quota = match cpu.quota {
            Some(quota) if quota > 0 => quota.to_string(),
            Some(_) => "max".to_owned(),
            None => {
                let old = dir.read("cpu.max")?;
                old.split_whitespace().next().unwrap_or("max").to_owned()
            }
        };
        let value = match cpu.period {
            Some(period) => format!("{quota} {period}"),
            None => quota,
        };
        dir.write("cpu.max", &value)?;
    }
    if let Some(burst) = cpu.burst {
        dir.write_number("cpu.max.burst", burst)?;
    }
    Ok(())
}

/// Maps v1's shares, 2–262144, to v2's weights, 1–10000.
pub(crate) fn weight(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    1 + ((shares - 2) * 9999) / 262_142
}

pub(crate) fn measure(group: &Cgroup, stats: &mut CpuStats) {
    if let Some(dir) = group.v1_dir(Controller::CpuAccounting) {
        measure_usage_v1(dir, stats);
    }
    let Some(dir) = group.v1_dir(Controller::Cpu).or(group.unified.as_ref()) else {
        return;
    };
    let text = dir.read("cpu.stat").unwrap_or_default();
    for (key, value) in keyed_lines(&text) {
        match key {
            "usage_usec" => stats.total = value.saturating_mul(1000),
            "user_usec" => stats.user = value.saturating_mul(1000),
            "system_usec" => stats.system = value.saturating_mul(1000),
            "nr_periods" => stats.periods = value,
            "nr_throttled" => stats.throttled_periods = value,
            "throttled_time" => stats.throttled_time = value,
            "throttled_usec" => stats.throttled_time = value.saturating_mul(1000),
            _ => {}
        }
    }
}

fn measure_usage_v1(dir: &Directory, stats: &mut CpuStats) {
    stats.total = dir.number("cpuacct.usage").unwrap_or_default();
    stats.user = dir.number("cpuacct.usage_user").unwrap_or_default();
    stats.system = dir.number("cpuacct.usage_sys").unwrap_or_default();
    let by_processor = dir.read("cpuacct.usage_percpu").unwrap_or_default();
    stats.per_cpu = by_processor
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        assert_eq!(weight(2), 1);
        assert_eq!(weight(1024), 39);
        assert_eq!(weight(262_144), 10_000);
        assert_eq!(weight(u64::MAX), 10_000);
    }
}
