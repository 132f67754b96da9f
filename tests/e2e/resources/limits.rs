//! Every option that limits something: what `inspect` says and what the
//! kernel's own file says are the same.

use std::path::Path;

use super::folders::Folders;
use crate::harness::{Engine, remark};

/// One option, and where each version of cgroups shows it.
struct Limit {
    options: Vec<String>,
    /// Of `HostConfig`: a template and what it gives.
    inspect: (&'static str, String),
    /// Controller, file, contents; a line of it is enough.
    v1: Option<(&'static str, &'static str, String)>,
    /// File, contents; a line of it is enough.
    v2: Option<(&'static str, String)>,
}

fn limit(
    options: &str,
    inspect: (&'static str, &str),
    v1: Option<(&'static str, &'static str, &str)>,
    v2: Option<(&'static str, &str)>,
) -> Limit {
    Limit {
        options: options.split(' ').map(str::to_owned).collect(),
        inspect: (inspect.0, inspect.1.to_owned()),
        v1: v1.map(|(controller, file, text)| (controller, file, text.to_owned())),
        v2: v2.map(|(file, text)| (file, text.to_owned())),
    }
}

fn memory() -> Vec<Limit> {
    vec![
        limit(
            "-m 64m",
            (".Memory", "67108864"),
            Some(("memory", "memory.limit_in_bytes", "67108864")),
            Some(("memory.max", "67108864")),
        ),
        limit(
            "-m 64m",
            (".MemorySwap", "134217728"),
            Some(("memory", "memory.memsw.limit_in_bytes", "134217728")),
            Some(("memory.swap.max", "67108864")),
        ),
        limit(
            "-m 64m --memory-swap 64m",
            (".MemorySwap", "67108864"),
            Some(("memory", "memory.memsw.limit_in_bytes", "67108864")),
            Some(("memory.swap.max", "0")),
        ),
        limit(
            "-m 64m --memory-swap -1",
            (".MemorySwap", "-1"),
            Some((
                "memory",
                "memory.memsw.limit_in_bytes",
                "9223372036854771712",
            )),
            Some(("memory.swap.max", "max")),
        ),
        limit(
            "-m 64m --memory-reservation 32m",
            (".MemoryReservation", "33554432"),
            Some(("memory", "memory.soft_limit_in_bytes", "33554432")),
            Some(("memory.low", "33554432")),
        ),
        limit(
            "-m 64m --memory-swappiness 10",
            ("(or .MemorySwappiness 0)", "10"),
            Some(("memory", "memory.swappiness", "10")),
            None,
        ),
        limit(
            "-m 64m --oom-kill-disable",
            (".OomKillDisable", "true"),
            Some(("memory", "memory.oom_control", "oom_kill_disable 1")),
            None,
        ),
    ]
}

fn processors() -> Vec<Limit> {
    vec![
        limit(
            "--cpus 0.5",
            (".NanoCpus", "500000000"),
            Some(("cpu", "cpu.cfs_quota_us", "50000")),
            Some(("cpu.max", "50000 100000")),
        ),
        limit(
            "--cpu-period 50000 --cpu-quota 20000",
            (".CpuPeriod", "50000"),
            Some(("cpu", "cpu.cfs_quota_us", "20000")),
            Some(("cpu.max", "20000 50000")),
        ),
        limit(
            "--cpu-quota 20000",
            (".CpuQuota", "20000"),
            Some(("cpu", "cpu.cfs_period_us", "100000")),
            Some(("cpu.max", "20000 100000")),
        ),
        limit(
            "--cpu-shares 2048",
            (".CpuShares", "2048"),
            Some(("cpu", "cpu.shares", "2048")),
            Some(("cpu.weight", "79")),
        ),
        limit(
            "--cpuset-cpus 0",
            (".CpusetCpus", "0"),
            Some(("cpuset", "cpuset.cpus", "0")),
            Some(("cpuset.cpus", "0")),
        ),
        limit(
            "--cpuset-mems 0",
            (".CpusetMems", "0"),
            Some(("cpuset", "cpuset.mems", "0")),
            Some(("cpuset.mems", "0")),
        ),
        limit(
            "--pids-limit 33",
            (".PidsLimit", "33"),
            Some(("pids", "pids.max", "33")),
            Some(("pids.max", "33")),
        ),
    ]
}

/// Limits of a block device of this machine: its path and number.
fn block_devices((path, number): &(String, String)) -> Vec<Limit> {
    let one = |option: &str, inspect, rate: &str, v1_file, v2: &str| Limit {
        options: vec![option.to_owned(), format!("{path}:{rate}")],
        inspect: (inspect, path.clone()),
        v1: Some(("blkio", v1_file, format!("{number} {rate}"))),
        v2: Some(("io.max", format!("{number} {v2}"))),
    };
    vec![
        one(
            "--device-read-bps",
            "(index .BlkioDeviceReadBps 0).Path",
            "1048576",
            "blkio.throttle.read_bps_device",
            "rbps=1048576 wbps=max riops=max wiops=max",
        ),
        one(
            "--device-write-bps",
            "(index .BlkioDeviceWriteBps 0).Path",
            "2097152",
            "blkio.throttle.write_bps_device",
            "rbps=max wbps=2097152 riops=max wiops=max",
        ),
        one(
            "--device-read-iops",
            "(index .BlkioDeviceReadIOps 0).Path",
            "100",
            "blkio.throttle.read_iops_device",
            "rbps=max wbps=max riops=100 wiops=max",
        ),
        one(
            "--device-write-iops",
            "(index .BlkioDeviceWriteIOps 0).Path",
            "200",
            "blkio.throttle.write_iops_device",
            "rbps=max wbps=max riops=max wiops=200",
        ),
    ]
}

/// A whole disk of this machine.
fn disk() -> Option<(String, String)> {
    let mut disks: Vec<(String, String)> = std::fs::read_dir("/sys/block")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).ok();
            let path = format!("/dev/{name}");
            let fits = read("size")?.trim() != "0" && Path::new(&path).exists();
            fits.then_some((path, read("dev")?.trim().to_owned()))
        })
        .collect();
    disks.sort();
    disks.pop()
}

/// What the kernel says, and what it should say; `None` where this machine
/// does not have the controller.
fn told(limit: &Limit, folders: &Folders) -> Option<(String, String)> {
    let v1 = limit.v1.as_ref().and_then(|(controller, file, expected)| {
        folders.get(controller)?;
        Some((folders.read(controller, file)?, expected))
    });
    let v2 = || {
        let (file, expected) = limit.v2.as_ref()?;
        Some((folders.read("", file)?, expected))
    };
    let (found, expected) = v1.or_else(v2)?;
    Some((found, expected.clone()))
}

#[test]
fn every_limit_is_in_the_kernels_own_file() {
    let engine = Engine::with_busybox();
    let mut limits = memory();
    limits.extend(processors());
    match disk() {
        Some(disk) => limits.extend(block_devices(&disk)),
        None => remark("SKIPPED: no disk to limit"),
    }
    for (number, limit) in limits.iter().enumerate() {
        let name = format!("limited{number}");
        let options: Vec<&str> = limit.options.iter().map(String::as_str).collect();
        let command = [
            &["run", "-d", "--name", &name][..],
            &options,
            &["busybox", "sleep", "1000"],
        ]
        .concat();
        engine.docker(&command).ok();
        let folders = Folders::of(&engine.inspect(&name, "{{.State.Pid}}"));
        match told(limit, &folders) {
            Some((found, expected)) => {
                let is_there = found.lines().any(|line| line == expected);
                assert!(is_there, "{options:?}: {found} is not {expected}");
                let (field, shown) = &limit.inspect;
                let template = format!("{{{{with .HostConfig}}}}{{{{{field}}}}}{{{{end}}}}");
                assert_eq!(engine.inspect(&name, &template), *shown, "{options:?}");
            }
            None => remark(&format!("SKIPPED: no controller for {options:?}")),
        }
        engine.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn the_weight_of_block_devices_is_scaled_where_cgroups_are_unified() {
    let engine = Engine::with_busybox();
    let told = engine.docker(&[
        "run",
        "-d",
        "--name",
        "heavy",
        "--blkio-weight",
        "300",
        "busybox",
        "sleep",
        "1000",
    ]);
    let told = told.ok();
    let folders = Folders::of(&engine.inspect("heavy", "{{.State.Pid}}"));
    let found = folders
        .read("blkio", "blkio.weight")
        .or_else(|| folders.read("blkio", "blkio.bfq.weight"))
        .or_else(|| folders.read("", "io.bfq.weight"))
        .or_else(|| folders.read("", "io.weight"));
    // As Docker, which looks for the first of these files alone.
    if told.stderr.contains("Weight discarded") {
        assert_eq!(engine.inspect("heavy", "{{.HostConfig.BlkioWeight}}"), "0");
        remark("SKIPPED: block devices have no weight here");
    } else {
        let found = found.expect("a weight, or a warning");
        let numbers = ["300", "default 300", "2930", "default 2930"];
        assert!(found.lines().any(|line| numbers.contains(&line)), "{found}");
        assert_eq!(
            engine.inspect("heavy", "{{.HostConfig.BlkioWeight}}"),
            "300"
        );
    }
    engine.docker(&["rm", "-f", "heavy"]).ok();
}
