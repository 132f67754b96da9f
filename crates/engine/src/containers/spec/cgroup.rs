//! The limits of a container, as the OCI spec words them.

use gantry_api::HostConfig;
use gantry_runtime::oci::{LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxPids, LinuxResources};

/// The period against which `--cpus` is measured, in microseconds.
const PERIOD: u64 = 100_000;

pub(super) fn resources(host: &HostConfig, rules: Vec<LinuxDeviceCgroup>) -> LinuxResources {
    let mut resources = LinuxResources::default();
    resources
        .set_devices(Some(rules))
        .set_memory(Some(memory(host)))
        .set_cpu(Some(cpu(host)))
        .set_pids(host.pids_limit.filter(|&limit| limit > 0).map(pids));
    resources
}

fn pids(limit: i64) -> LinuxPids {
    let mut pids = LinuxPids::default();
    pids.set_limit(limit);
    pids
}

fn memory(host: &HostConfig) -> LinuxMemory {
    let set = |value: i64| Some(value).filter(|&value| value != 0);
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(set(host.memory))
        .set_swap(set(host.memory_swap))
        .set_reservation(set(host.memory_reservation))
        .set_kernel_tcp(set(host.kernel_memory_tcp))
        .set_swappiness(
            host.memory_swappiness
                .and_then(|value| u64::try_from(value).ok()),
        )
        .set_disable_oom_killer(host.oom_kill_disable.filter(|&disable| disable));
    memory
}

fn cpu(host: &HostConfig) -> LinuxCpu {
    let positive = |value: i64| u64::try_from(value).ok().filter(|&value| value > 0);
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(positive(host.cpu_shares))
        .set_period(positive(host.cpu_period))
        .set_quota(Some(host.cpu_quota).filter(|&quota| quota != 0))
        .set_cpus(text(&host.cpuset_cpus))
        .set_mems(text(&host.cpuset_mems));
    if let Some(nanos) = positive(host.nano_cpus) {
        // A billionth of a processor is a ten-thousandth of a period's microsecond.
        let quota = nanos / (1_000_000_000 / PERIOD);
        cpu.set_period(Some(PERIOD))
            .set_quota(i64::try_from(quota).ok());
    }
    cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_become_a_quota() {
        let host: HostConfig = serde_json::from_str(
            r#"{"NanoCpus":1500000000,"Memory":104857600,"MemorySwap":-1,"PidsLimit":50}"#,
        )
        .unwrap();
        let resources = resources(&host, Vec::new());
        let cpu = resources.cpu().as_ref().unwrap();
        assert_eq!((cpu.period(), cpu.quota()), (Some(100_000), Some(150_000)));
        let memory = resources.memory().as_ref().unwrap();
        assert_eq!(
            (memory.limit(), memory.swap()),
            (Some(104_857_600), Some(-1))
        );
        assert_eq!(resources.pids().as_ref().unwrap().limit(), 50);
    }
}
