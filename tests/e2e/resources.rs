//! Limits as the kernel's own files tell them, on cgroup v1 and v2 alike. The
//! same tests run in a virtual machine with v2 alone: `cargo xtask vm-test`.

use std::path::{Path, PathBuf};

use crate::harness::{Engine, remark};
use crate::run::wait_for;

/// One option, and where each version of cgroups shows it.
struct Limit {
    options: &'static [&'static str],
    /// Controller, file, contents.
    v1: Option<(&'static str, &'static str, &'static str)>,
    /// File, contents.
    v2: Option<(&'static str, &'static str)>,
}

const LIMITS: &[Limit] = &[
    Limit {
        options: &["-m", "64m"],
        v1: Some(("memory", "memory.limit_in_bytes", "67108864")),
        v2: Some(("memory.max", "67108864")),
    },
    Limit {
        options: &["-m", "64m", "--memory-reservation", "32m"],
        v1: Some(("memory", "memory.soft_limit_in_bytes", "33554432")),
        v2: Some(("memory.low", "33554432")),
    },
    Limit {
        options: &["-m", "64m", "--memory-swappiness", "10"],
        v1: Some(("memory", "memory.swappiness", "10")),
        v2: None,
    },
    Limit {
        options: &["--cpus", "0.5"],
        v1: Some(("cpu", "cpu.cfs_quota_us", "50000")),
        v2: Some(("cpu.max", "50000 100000")),
    },
    Limit {
        options: &["--cpu-period", "50000", "--cpu-quota", "20000"],
        v1: Some(("cpu", "cpu.cfs_quota_us", "20000")),
        v2: Some(("cpu.max", "20000 50000")),
    },
    Limit {
        options: &["--cpu-shares", "2048"],
        v1: Some(("cpu", "cpu.shares", "2048")),
        v2: Some(("cpu.weight", "79")),
    },
    Limit {
        options: &["--cpuset-cpus", "0"],
        v1: Some(("cpuset", "cpuset.cpus", "0")),
        v2: Some(("cpuset.cpus", "0")),
    },
    Limit {
        options: &["--pids-limit", "33"],
        v1: Some(("pids", "pids.max", "33")),
        v2: Some(("pids.max", "33")),
    },
];

/// The controllers' folders of a process: `("", folder)` is v2's.
fn folders(pid: &str) -> Vec<(String, PathBuf)> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the cgroups of the process");
    text.lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (names, path) = rest.split_once(':')?;
            // A hierarchy that nobody mounted has the process at its root.
            let path = path.trim_start_matches('/');
            (!path.is_empty()).then(|| (names.to_owned(), path.to_owned()))
        })
        .flat_map(|(names, path)| {
            let names: Vec<String> = names.split(',').map(str::to_owned).collect();
            names.into_iter().map(move |name| {
                let folder = Path::new("/sys/fs/cgroup").join(&name).join(&path);
                (name, folder)
            })
        })
        .collect()
}

/// What the kernel says, and what it should say; `None` where this machine
/// does not have the controller.
fn told(limit: &Limit, pid: &str) -> Option<(String, String)> {
    let folders = folders(pid);
    let v1 = limit.v1.and_then(|(controller, file, expected)| {
        let (_, folder) = folders.iter().find(|(name, _)| name == controller)?;
        Some((folder.join(file), expected))
    });
    let v2 = limit.v2.and_then(|(file, expected)| {
        let (_, folder) = folders.iter().find(|(name, _)| name.is_empty())?;
        Some((folder.join(file), expected))
    });
    let (file, expected) = v1.or(v2)?;
    let found = std::fs::read_to_string(file).ok()?;
    Some((found.trim().to_owned(), expected.to_owned()))
}

#[test]
fn every_limit_is_in_the_kernels_own_file() {
    let engine = Engine::with_busybox();
    for (number, limit) in LIMITS.iter().enumerate() {
        let name = format!("limited{number}");
        let command = [
            &["run", "-d", "--name", &name][..],
            limit.options,
            &["busybox", "sleep", "1000"],
        ]
        .concat();
        engine.docker(&command).ok();
        let pid = engine.inspect(&name, "{{.State.Pid}}");
        match told(limit, &pid) {
            Some((found, expected)) => assert_eq!(found, expected, "{:?}", limit.options),
            None => remark(&format!("SKIPPED: no controller for {:?}", limit.options)),
        }
        engine.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn devices_that_were_not_given_are_denied() {
    let engine = Engine::with_busybox();
    // 1:1 is /dev/mem, which no container has.
    engine
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
        ])
        .code(1)
        .says("Operation not permitted");
    engine
        .docker(&["run", "--rm", "busybox", "head", "-c", "1", "/dev/zero"])
        .ok();
}

#[test]
fn a_process_too_many_is_not_made() {
    let engine = Engine::with_busybox();
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
    engine
        .docker(&[
            "run",
            "--rm",
            "--pids-limit",
            "4",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .says("can't fork");
}

#[test]
fn nothing_of_a_container_is_left_in_the_hierarchies() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "gone", "busybox", "sleep", "1000"])
        .ok();
    let folders = folders(&engine.inspect("gone", "{{.State.Pid}}"));
    let own: Vec<&PathBuf> = folders
        .iter()
        .map(|(_, folder)| folder)
        .filter(|folder| folder.is_dir())
        .collect();
    assert!(!own.is_empty(), "{folders:?}");
    engine.docker(&["rm", "-f", "gone"]).ok();
    wait_for(|| own.iter().all(|folder| !folder.exists()));
}
