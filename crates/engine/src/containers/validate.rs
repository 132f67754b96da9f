//! Checks of what a client asks for, in Docker's words; what can be left out is
//! left out with a warning. Nothing here knows the image.

use gantry_api::{Config, HealthCheck, HostConfig, Ulimit};

use super::mounts::clean;
use super::{Host, block_io, discard, joined, restart_policy, signals};
use crate::error::{Error, Result};

/// Docker's smallest memory limit: 6 MiB.
const LEAST_MEMORY: i64 = 6 << 20;

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(message.into()))
}

/// Checks what is independent of the host.
///
/// # Errors
/// `Invalid`.
pub(crate) fn config(config: &Config) -> Result<()> {
    let dir = &config.working_dir;
    if !dir.is_empty() && !dir.starts_with('/') {
        return invalid(format!(
            "the working directory '{dir}' is invalid, it needs to be an absolute path"
        ));
    }
    for variable in config.env.iter().flatten() {
        if variable.is_empty() || variable.starts_with('=') || variable.contains('\0') {
            return invalid(format!("invalid environment variable: {variable}"));
        }
    }
    if !config.stop_signal.is_empty() {
        signals::parse(&config.stop_signal)?;
    }
    config.healthcheck.as_ref().map_or(Ok(()), health)
}

/// Times are not shorter than a millisecond, zero being the default.
fn health(check: &HealthCheck) -> Result<()> {
    let short = |nanos: i64| nanos != 0 && nanos < 1_000_000;
    let times = [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ];
    for (index, (name, nanos)) in times.into_iter().enumerate() {
        // The order in which Docker looks.
        if index == 2 && check.retries < 0 {
            return invalid("Retries in Healthcheck cannot be negative");
        }
        if short(nanos) {
            return invalid(format!("{name} in Healthcheck cannot be less than 1ms"));
        }
    }
    Ok(())
}

/// Checks how it shall run on this host, takes out what cannot be had, and
/// returns warnings about that.
///
/// # Errors
/// `Invalid`.
pub(crate) fn host_config(host_config: &mut HostConfig, host: &Host) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    modes(host_config)?;
    cgroup_parent(host_config, host)?;
    windows(host_config, &mut warnings)?;
    if host_config.memory == 0 && host_config.memory_swap > 0 {
        return invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    memory(host_config, host, &mut warnings)?;
    cpu(host_config, host)?;
    block_io::check(host_config, host, &mut warnings)?;
    discard::discard(host_config, &host.limits, &mut warnings)?;
    limits(host_config)?;
    storage(host_config)?;
    restart_policy::check(&host_config.restart_policy, host_config.auto_remove)?;
    for (key, _) in host_config.annotations.iter().flatten() {
        if key.is_empty() {
            return invalid(
                "invalid Annotations: the empty string is not permitted as an annotation key",
            );
        }
    }
    for line in host_config.extra_hosts.iter().flatten() {
        if line
            .split_once([':', '='])
            .is_none_or(|(name, _)| name.is_empty())
        {
            return invalid(format!("bad format for add-host: \"{line}\""));
        }
    }
    for target in host_config.tmpfs.iter().flatten().map(|(target, _)| target) {
        if !target.starts_with('/') {
            return invalid(format!(
                "invalid mount path: '{target}' mount path must be absolute"
            ));
        }
        if clean(target) == "/" {
            return invalid("invalid specification: destination can't be '/'");
        }
    }
    Ok(warnings)
}

fn cgroup_parent(c: &HostConfig, host: &Host) -> Result<()> {
    let parent = &c.cgroup_parent;
    match host.systemd && !parent.is_empty() && !is_slice(parent) {
        true => invalid(NO_SLICE),
        false => Ok(()),
    }
}

/// What Docker says to a parent that systemd cannot have.
const NO_SLICE: &str =
    "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"";

fn is_slice(name: &str) -> bool {
    name.len() > ".slice".len() && name.ends_with(".slice")
}

/// Checks what an update asks for, takes out what cannot be had, and returns
/// warnings about that.
///
/// # Errors
/// `Invalid`.
pub(crate) fn update(given: &mut HostConfig, host: &Host) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    memory(given, host, &mut warnings)?;
    cpu(given, host)?;
    block_io::check(given, host, &mut warnings)?;
    restart_policy::check(&given.restart_policy, false)?;
    // Whatever is no limit is written in one way.
    given.pids_limit = given.pids_limit.map(|limit| limit.max(0));
    Ok(warnings)
}

/// Checks options of the storage driver: it has one, if the file system can.
fn storage(host: &HostConfig) -> Result<()> {
    let mut options = host.storage_opt.iter().flatten().map(|(option, _)| option);
    match options.find(|option| !option.eq_ignore_ascii_case("size")) {
        Some(unknown) => invalid(format!("Unknown option {unknown}")),
        None => Ok(()),
    }
}

/// What only containers of Windows can have; that a number of processors is no
/// limit on Linux is all that Docker passes over.
fn windows(host: &mut HostConfig, warnings: &mut Vec<String>) -> Result<()> {
    if host.cpu_percent > 0 {
        host.cpu_percent = 0;
        warnings.push("linux does not support CPU percent. Percent discarded.".to_owned());
    }
    for (given, noun) in [
        (host.io_maximum_iops, "IOPs"),
        (host.io_maximum_bandwidth, "bandwidth"),
    ] {
        if given > 0 {
            return invalid(format!(
                "invalid option: QoS maximum {noun} configuration is not supported on linux"
            ));
        }
    }
    Ok(())
}

fn modes(host: &HostConfig) -> Result<()> {
    let known = |mode: &str, words: &[&str]| words.contains(&mode);
    let joins = |mode: &str| joined::named(mode).is_some();
    let joins_pid = joined::named(&host.pid_mode).is_some_and(|name| !name.is_empty());
    if !joins_pid && !known(&host.pid_mode, &["", "host", "private"]) {
        return invalid(format!("invalid PID mode: {}", host.pid_mode));
    }
    let ipc = ["", "none", "private", "shareable", "host"];
    if !joins(&host.ipc_mode) && !known(&host.ipc_mode, &ipc) {
        return invalid(format!("invalid IPC mode: {}", host.ipc_mode));
    }
    if !known(&host.uts_mode, &["", "host"]) {
        return invalid(format!("invalid UTS mode: {}", host.uts_mode));
    }
    if !known(&host.cgroupns_mode, &["", "private", "host"]) {
        return invalid(format!(
            "invalid cgroup namespace mode: {}",
            host.cgroupns_mode
        ));
    }
    if !known(&host.isolation.to_ascii_lowercase(), &["", "default"]) {
        return invalid(format!(
            "invalid isolation ({}): linux only supports 'default'",
            host.isolation
        ));
    }
    if !known(&host.runtime, &["", "gantry", "runc"]) {
        return invalid(format!("unknown or invalid runtime name: {}", host.runtime));
    }
    if !host.cgroup.is_empty() {
        return invalid(format!("invalid cgroup: {}", host.cgroup));
    }
    Ok(())
}

fn memory(c: &mut HostConfig, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    if c.memory != 0 && c.memory < LEAST_MEMORY {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if c.memory > 0 && c.memory_swap > 0 && c.memory_swap < c.memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if c.memory_reservation != 0 && c.memory_reservation < LEAST_MEMORY {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if c.memory > 0 && c.memory_reservation > 0 && c.memory < c.memory_reservation {
        return invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    match c.memory_swappiness {
        // What clients send when the user gave nothing.
        Some(-1) => c.memory_swappiness = None,
        Some(value) if !(0..=100).contains(&value) => {
            return invalid(format!(
                "Invalid value: {value}, valid memory swappiness range is 0-100"
            ));
        }
        Some(_) if !host.limits.swappiness => {
            c.memory_swappiness = None;
            warnings.push(
                "Your kernel does not support memory swappiness capabilities or the cgroup is \
                 not mounted. Memory swappiness discarded."
                    .to_owned(),
            );
        }
        _ => {}
    }
    if c.oom_kill_disable == Some(true) {
        if !host.limits.oom_kill_disable {
            c.oom_kill_disable = None;
            warnings.push(
                "Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned(),
            );
        } else if c.memory == 0 {
            warnings.push(
                "OOM killer is disabled for the container, but no memory limit is set, this can \
                 result in the system running out of resources."
                    .to_owned(),
            );
        }
    }
    Ok(())
}

fn cpu(c: &HostConfig, host: &Host) -> Result<()> {
    if c.nano_cpus > 0 && c.cpu_period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if c.nano_cpus > 0 && c.cpu_quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let most = i64::from(host.cpus) * 1_000_000_000;
    if c.nano_cpus < 0 || c.nano_cpus > most {
        return invalid(format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available",
            cpus = host.cpus
        ));
    }
    if c.cpu_shares < 0 {
        return invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            c.cpu_shares
        ));
    }
    if c.cpu_period != 0 && !(1000..=1_000_000).contains(&c.cpu_period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if c.cpu_realtime_period != 0 && c.cpu_realtime_runtime > c.cpu_realtime_period {
        return invalid("cpu real-time runtime cannot be higher than cpu real-time period");
    }
    if c.cpu_quota > 0 && c.cpu_quota < 1000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    cpuset("cpus", "CPUs", &c.cpuset_cpus, host.cpus)?;
    cpuset("mems", "memory nodes", &c.cpuset_mems, host.memory_nodes)
}

fn cpuset(name: &str, noun: &str, text: &str, available: u32) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let Some(highest) = highest_in_list(text) else {
        return invalid(format!(
            "Invalid value {text} for cpuset {name}: invalid format: {text}"
        ));
    };
    if highest >= available {
        let last = available.saturating_sub(1);
        let range = if last == 0 {
            "0".to_owned()
        } else {
            format!("0-{last}")
        };
        return invalid(format!(
            "Requested {noun} are not available - requested {text}, available: {range}"
        ));
    }
    Ok(())
}

/// The highest number of a list such as `0-2,7`; `None` when it is no list.
fn highest_in_list(text: &str) -> Option<u32> {
    let mut highest = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last {
            return None;
        }
        highest = highest.max(last);
    }
    Some(highest)
}

fn limits(host: &HostConfig) -> Result<()> {
    if host.shm_size < 0 {
        return invalid("SHM size can not be less than 0");
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        ));
    }
    for ulimit in host.ulimits.iter().flatten() {
        check_ulimit(ulimit)?;
    }
    Ok(())
}

fn check_ulimit(limit: &Ulimit) -> Result<()> {
    let name = limit.name.to_ascii_lowercase();
    if !Ulimit::NAMES.contains(&name.as_str()) {
        return invalid(format!("invalid ulimit type: {}", limit.name));
    }
    if limit.hard != -1 && (limit.soft == -1 || limit.soft > limit.hard) {
        return invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {} > {}",
            limit.soft, limit.hard
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Host = Host {
        cpus: 2,
        memory_nodes: 1,
        memory: 1 << 30,
        cgroup_v2: false,
        systemd: false,
        limits: gantry_cgroup::Abilities {
            memory: true,
            swap: true,
            kernel_memory_tcp: true,
            oom_kill_disable: true,
            swappiness: true,
            cpu_quota: true,
            cpu_shares: true,
            cpu_realtime: true,
            cpuset: true,
            pids: true,
            block_weight: false,
            block_throttle: true,
        },
    };

    fn refusal(json: &str) -> String {
        let mut host: HostConfig = serde_json::from_str(json).unwrap();
        host_config(&mut host, &HOST).unwrap_err().to_string()
    }

    #[test]
    fn what_only_windows_has_is_told() {
        let mut host: HostConfig = serde_json::from_str(r#"{"CpuPercent":50}"#).unwrap();
        let warnings = host_config(&mut host, &HOST).unwrap();
        assert_eq!(
            warnings,
            ["linux does not support CPU percent. Percent discarded."]
        );
        assert_eq!(host.cpu_percent, 0);
        for json in [r#"{"IOMaximumIOps":1}"#, r#"{"IOMaximumBandwidth":1}"#] {
            assert!(refusal(json).contains("is not supported on linux"));
        }
    }

    #[test]
    fn wrong_values_are_refused_in_dockers_words() {
        for (json, message) in [
            (r#"{"Memory":1000}"#, "Minimum memory limit allowed is 6MB"),
            (
                r#"{"MemorySwap":1000}"#,
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                r#"{"Memory":10000000,"MemorySwap":100}"#,
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (r#"{"PidMode":"foo"}"#, "invalid PID mode: foo"),
            (
                r#"{"CgroupnsMode":"foo"}"#,
                "invalid cgroup namespace mode: foo",
            ),
            (r#"{"ShmSize":-1}"#, "SHM size can not be less than 0"),
            (
                r#"{"OomScoreAdj":5000}"#,
                "Invalid value 5000, range for oom score adj is [-1000, 1000]",
            ),
            (
                r#"{"NanoCpus":99000000000}"#,
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                r#"{"CpuPeriod":5}"#,
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            ),
            (
                r#"{"CpusetCpus":"0-99"}"#,
                "Requested CPUs are not available - requested 0-99, available: 0-1",
            ),
            (
                r#"{"CpusetCpus":"abc"}"#,
                "Invalid value abc for cpuset cpus: invalid format: abc",
            ),
            (
                r#"{"CpusetMems":"7"}"#,
                "Requested memory nodes are not available - requested 7, available: 0",
            ),
            (
                r#"{"MemorySwappiness":101}"#,
                "Invalid value: 101, valid memory swappiness range is 0-100",
            ),
            (
                r#"{"Runtime":"nonesuch"}"#,
                "unknown or invalid runtime name: nonesuch",
            ),
            (
                r#"{"ExtraHosts":["foo"]}"#,
                "bad format for add-host: \"foo\"",
            ),
            (
                r#"{"Tmpfs":{"/x/..":""}}"#,
                "invalid specification: destination can't be '/'",
            ),
            (
                r#"{"Tmpfs":{"tmp":""}}"#,
                "invalid mount path: 'tmp' mount path must be absolute",
            ),
        ] {
            assert_eq!(refusal(json), message);
        }
    }

    #[test]
    fn unset_values_pass() {
        let mut host: HostConfig =
            serde_json::from_str(r#"{"MemorySwappiness":-1,"PidsLimit":0,"MemorySwap":-1}"#)
                .unwrap();
        assert!(host_config(&mut host, &HOST).unwrap().is_empty());
        assert_eq!(host.memory_swappiness, None);
    }
}
