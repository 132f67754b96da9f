//! Memory: `memory`.

use crate::directory::{Directory, keyed_lines};
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::resources::Memory;
use crate::stats::MemoryStats;
use gantry_types::sort::IntoMap;

const V1_LIMIT: &str = "memory.limit_in_bytes";
const V1_SWAP: &str = "memory.memsw.limit_in_bytes";

pub(crate) fn apply(group: &Cgroup, memory: &Memory) -> Result<()> {
    // Zero is what clients send for "not set".
    let wanted = Memory {
        limit: memory.limit.filter(|&n| n != 0),
        reservation: memory.reservation.filter(|&n| n != 0),
        swap: memory.swap.filter(|&n| n != 0),
        kernel_tcp: memory.kernel_tcp.filter(|&n| n != 0),
        ..memory.clone()
    };
    if wanted == Memory::default() {
        return Ok(());
    }
    if let Some(dir) = group.v1_dir(Controller::Memory) {
        apply_v1(dir, &wanted)
    } else if let Some(dir) = group.v2_dir(Controller::Memory) {
        apply_v2(dir, &wanted)
    } else {
        Err(Error::MissingController {
            controller: "memory",
            limit: "memory",
        })
    }
}

fn apply_v1(dir: &Directory, memory: &Memory) -> Result<()> {
    set_limits_v1(dir, memory)?;
    if let Some(reservation) = memory.reservation {
        dir.write_number("memory.soft_limit_in_bytes", reservation)?;
    }
    if let Some(limit) = memory.kernel_tcp {
        dir.write_number("memory.kmem.tcp.limit_in_bytes", limit)?;
    }
    if let Some(swappiness) = memory.swappiness {
        if swappiness > 100 {
            return Err(Error::InvalidSetting {
                setting: "memory swappiness".to_owned(),
                reason: "must be between 0 and 100",
            });
        }
        dir.write_number("memory.swappiness", swappiness)?;
    }
    if memory.disable_oom_killer {
        dir.write("memory.oom_control", "1")?;
    }
    Ok(())
}

/// The kernel wants limit ≤ limit with swap after every write, so the one that
/// makes room for the other goes first.
fn set_limits_v1(dir: &Directory, memory: &Memory) -> Result<()> {
    let swap_file = dir.has(V1_SWAP);
    // No limit of memory has none of memory and swap either.
    let swap = match (memory.limit, memory.swap) {
        (Some(-1), None) if swap_file => Some(-1),
        (_, swap) => swap,
    };
    match (memory.limit, swap) {
        (Some(limit), Some(swap)) if swap_file => {
            let now = dir.number(V1_LIMIT).unwrap_or(u64::MAX);
            let rises = u64::try_from(swap).map_or(true, |swap| now < swap);
            if rises {
                dir.write_number(V1_SWAP, swap)?;
                set_limit_v1(dir, limit)
            } else {
                set_limit_v1(dir, limit)?;
                dir.write_number(V1_SWAP, swap)
            }
        }
        (limit, swap) => {
            if let Some(limit) = limit {
                set_limit_v1(dir, limit)?;
            }
            match swap {
                Some(swap) if swap_file => dir.write_number(V1_SWAP, swap),
                // Without accounting of swap only "as much as you like" holds.
                Some(-1) | None => Ok(()),
                Some(_) => Err(Error::MissingController {
                    controller: "memory.memsw",
                    limit: "swap",
                }),
            }
        }
    }
}

/// A limit below what cannot be given back is refused, with the numbers.
fn set_limit_v1(dir: &Directory, limit: i64) -> Result<()> {
    dir.write_number(V1_LIMIT, limit).map_err(|error| {
        if error.errno() != Some(libc::EBUSY) {
            return error;
        }
        Error::MemoryInUse {
            limit,
            usage: dir.number("memory.usage_in_bytes").unwrap_or_default(),
            peak: dir.number("memory.max_usage_in_bytes").unwrap_or_default(),
        }
    })
}

fn apply_v2(dir: &Directory, memory: &Memory) -> Result<()> {
    let text = |n: i64| {
        if n < 0 {
            "max".to_owned()
        } else {
            n.to_string()
        }
    };
    // No limit of memory has none of swap either.
    let swap = memory.swap.or(memory.limit.filter(|&limit| limit == -1));
    if let Some(swap) = swap {
        let alone = swap_alone(memory.limit.or_else(|| limit_v2(dir)), swap)?;
        if dir.has("memory.swap.max") {
            dir.write("memory.swap.max", &text(alone))?;
        } else if alone > 0 {
            return Err(Error::MissingController {
                controller: "memory.swap",
                limit: "swap",
            });
        }
    }
    if let Some(limit) = memory.limit {
        dir.write("memory.max", &text(limit))?;
    }
    if let Some(reservation) = memory.reservation {
        dir.write("memory.low", &text(reservation))?;
    }
    Ok(())
}

/// The limit that holds, for a change of the other one alone.
fn limit_v2(dir: &Directory) -> Option<i64> {
    let limit = dir.number("memory.max")?;
    Some(i64::try_from(limit).unwrap_or(-1))
}

/// OCI counts memory and swap together, v2 counts swap alone.
pub(crate) fn swap_alone(limit: Option<i64>, swap: i64) -> Result<i64> {
    let invalid = |reason| Error::InvalidSetting {
        setting: "memory and swap limit".to_owned(),
        reason,
    };
    match limit {
        _ if swap < 0 => Ok(-1),
        None => Err(invalid("unable to set swap limit without memory limit")),
        Some(limit) if limit < 0 => Err(invalid("unable to set swap limit with unlimited memory")),
        Some(limit) if swap < limit => Err(invalid("memory+swap limit should be >= memory limit")),
        Some(limit) => Ok(swap - limit),
    }
}

pub(crate) fn oom_kills(group: &Cgroup) -> u64 {
    let v1 = || {
        group
            .v1_dir(Controller::Memory)?
            .keyed("memory.oom_control", "oom_kill")
    };
    let v2 = || {
        group
            .v2_dir(Controller::Memory)?
            .keyed("memory.events", "oom_kill")
    };
    v1().or_else(v2).unwrap_or_default()
}

pub(crate) fn measure(group: &Cgroup, stats: &mut MemoryStats) {
    let (dir, usage, max_usage, limit) = if let Some(dir) = group.v1_dir(Controller::Memory) {
        let names = (
            "memory.usage_in_bytes",
            "memory.max_usage_in_bytes",
            V1_LIMIT,
        );
        (dir, names.0, names.1, names.2)
    } else if let Some(dir) = group.v2_dir(Controller::Memory) {
        (dir, "memory.current", "memory.peak", "memory.max")
    } else {
        return;
    };
    stats.usage = dir.number(usage).unwrap_or_default();
    stats.max_usage = dir.number(max_usage).unwrap_or_default();
    stats.limit = dir.number(limit).unwrap_or(u64::MAX);
    stats.fail_count = dir
        .number("memory.failcnt")
        .or_else(|| dir.keyed("memory.events", "max"))
        .unwrap_or_default();
    stats.out_of_memory = dir.keyed("memory.events", "oom").unwrap_or_default();
    stats.oom_kills = oom_kills(group);
    let detail = dir.read("memory.stat").unwrap_or_default();
    stats.detail = keyed_lines(&detail)
        .map(|(key, value)| (key.to_owned(), value))
        .into_map();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_counted_alone_on_v2() {
        assert_eq!(swap_alone(Some(100), 150).unwrap(), 50);
        assert_eq!(swap_alone(Some(100), -1).unwrap(), -1);
        assert!(swap_alone(Some(100), 50).is_err());
        assert!(swap_alone(None, 50).is_err());
    }
}
