//! The limits of a container, as the OCI spec words them.

use gantry_api::HostConfig;
use gantry_runtime::oci::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxPids, LinuxResources,
};

use super::super::block_io;
use crate::error::{Error, Result};

/// The period against which `--cpus` is measured, in microseconds.
const PERIOD: u64 = 100_000;

/// Checks the processor shares, which the old hierarchy would change silently.
///
/// # Errors
/// `Start`, in Docker's words.
pub(crate) fn check_shares(host: &HostConfig, cgroup_v2: bool) -> Result<()> {
    let Some(bound) = too_few_or_many_shares(host, cgroup_v2) else {
        return Ok(());
    };
    Err(Error::spec(format!(
        "failed to create task for container: failed to create shim task: OCI runtime create \
         failed: runc create failed: unable to start container process: error during container \
         init: error setting cgroup config for procHooks process: the {bound}"
    )))
}

/// What is wrong with the processor shares, in runc's words.
pub(crate) fn too_few_or_many_shares(host: &HostConfig, cgroup_v2: bool) -> Option<&'static str> {
    match host.cpu_shares {
        1 if !cgroup_v2 => Some("minimum allowed cpu-shares is 2"),
        262_145.. if !cgroup_v2 => Some("maximum allowed cpu-shares is 262144"),
        _ => None,
    }
}

pub(super) fn resources(
    host: &HostConfig,
    rules: Vec<LinuxDeviceCgroup>,
    devices: Option<LinuxBlockIo>,
) -> LinuxResources {
    let pids = host.pids_limit.filter(|&limit| limit > 0);
    LinuxResources {
        devices: rules,
        memory: Some(memory(host)),
        cpu: Some(cpu(host)),
        block_io: devices,
        pids: pids.map(|limit| LinuxPids { limit }),
        ..LinuxResources::default()
    }
}

/// What an update changes: what it names in `given`. Limits that only mean
/// something together are taken from `whole`, the configuration after it.
pub(crate) fn changes(given: &HostConfig, whole: &HostConfig) -> Result<LinuxResources> {
    let mut changed = resources(given, Vec::new(), block_io::of(given)?);
    // Zero and less take the limit away.
    changed.pids = given.pids_limit.map(|limit| LinuxPids {
        limit: if limit > 0 { limit } else { -1 },
    });
    if (given.memory, given.memory_swap) != (0, 0) {
        changed.memory = Some(LinuxMemory {
            limit: Some(whole.memory).filter(|&limit| limit != 0),
            swap: Some(whole.memory_swap).filter(|&limit| limit != 0),
            ..memory(given)
        });
    }
    if (given.cpu_quota, given.cpu_period, given.nano_cpus) != (0, 0, 0) {
        let all = cpu(whole);
        changed.cpu = Some(LinuxCpu {
            quota: all.quota,
            period: all.period,
            ..cpu(given)
        });
    }
    Ok(changed)
}

fn memory(host: &HostConfig) -> LinuxMemory {
    let set = |value: i64| Some(value).filter(|&value| value != 0);
    let swappiness = host.memory_swappiness;
    LinuxMemory {
        limit: set(host.memory),
        swap: set(host.memory_swap),
        reservation: set(host.memory_reservation),
        kernel_tcp: set(host.kernel_memory_tcp),
        swappiness: swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: host.oom_kill_disable.filter(|&disable| disable),
        ..LinuxMemory::default()
    }
}

fn cpu(host: &HostConfig) -> LinuxCpu {
    let positive = |value: i64| u64::try_from(value).ok().filter(|&value| value > 0);
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let mut cpu = LinuxCpu {
        shares: positive(host.cpu_shares),
        period: positive(host.cpu_period),
        quota: Some(host.cpu_quota).filter(|&quota| quota != 0),
        realtime_period: positive(host.cpu_realtime_period),
        realtime_runtime: Some(host.cpu_realtime_runtime).filter(|&runtime| runtime != 0),
        cpus: text(&host.cpuset_cpus),
        mems: text(&host.cpuset_mems),
        ..LinuxCpu::default()
    };
    if let Some(nanos) = positive(host.nano_cpus) {
        // A billionth of a processor is a ten-thousandth of a period's microsecond.
        let quota = nanos / (1_000_000_000 / PERIOD);
        cpu.period = Some(PERIOD);
        cpu.quota = i64::try_from(quota).ok();
    }
    cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_update_names_is_changed() {
        let given: HostConfig =
            serde_json::from_str(r#"{"MemorySwap":300000000,"PidsLimit":0}"#).unwrap();
        let whole: HostConfig = serde_json::from_str(
            r#"{"Memory":104857600,"MemorySwap":300000000,"CpuShares":5,"MemoryReservation":7}"#,
        )
        .unwrap();
        let changed = changes(&given, &whole).unwrap();
        let memory = changed.memory.unwrap();
        assert_eq!(memory.limit, Some(104_857_600));
        assert_eq!(memory.swap, Some(300_000_000));
        assert_eq!(memory.reservation, None);
        assert_eq!(changed.cpu, Some(LinuxCpu::default()));
        assert_eq!(changed.pids.unwrap().limit, -1);
    }

    #[test]
    fn processors_become_a_quota() {
        let host: HostConfig = serde_json::from_str(
            r#"{"NanoCpus":1500000000,"Memory":104857600,"MemorySwap":-1,"PidsLimit":50}"#,
        )
        .unwrap();
        let resources = resources(&host, Vec::new(), None);
        let cpu = resources.cpu.as_ref().unwrap();
        assert_eq!((cpu.period, cpu.quota), (Some(100_000), Some(150_000)));
        let memory = resources.memory.as_ref().unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(104_857_600), Some(-1)));
        assert_eq!(resources.pids.unwrap().limit, 50);
    }
}
