//! Limits that are changed while a container runs, and those of real-time tasks,
//! which a daemon hands out.

use super::folders::Folders;
use crate::gantry_only;
use crate::harness::{Engine, remark};

#[test]
fn a_process_too_many_is_not_made_after_an_update_either() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "few", "busybox", "sleep", "1000"])
        .ok();
    engine
        .docker(&[
            "update",
            "--pids-limit",
            "4",
            "-m",
            "64m",
            "--memory-swap",
            "64m",
            "--cpus",
            "0.5",
            "few",
        ])
        .ok()
        .prints("few\n");
    let folders = Folders::of(&engine.inspect("few", "{{.State.Pid}}"));
    let one_of = |v1: (&str, &str), v2: &str| {
        let found = folders.read(v1.0, v1.1);
        found.or_else(|| folders.read("", v2))
    };
    assert_eq!(
        one_of(("pids", "pids.max"), "pids.max").as_deref(),
        Some("4")
    );
    assert_eq!(
        one_of(("memory", "memory.limit_in_bytes"), "memory.max").as_deref(),
        Some("67108864")
    );
    let quota = one_of(("cpu", "cpu.cfs_quota_us"), "cpu.max").expect("a quota");
    assert!(quota.starts_with("50000"), "{quota}");
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
    engine
        .docker(&["exec", "few", "sh", "-c", script])
        .says("can't fork");
    engine.docker(&["rm", "-f", "few"]).ok();
}

#[test]
fn a_limit_below_what_is_used_is_refused_and_nothing_changes() {
    let engine = Engine::with_busybox();
    let command = "x=$(dd if=/dev/zero bs=1M count=16 2>/dev/null | tr '\\0' a); echo ready; sleep 1000; echo $x";
    let run = [
        "run",
        "-d",
        "--name",
        "full",
        "-m",
        "64m",
        "--memory-swap",
        "64m",
    ];
    engine
        .docker(&[&run[..], &["busybox", "sh", "-c", command]].concat())
        .ok();
    crate::run::wait_for(|| engine.docker(&["logs", "full"]).stdout.contains("ready"));
    let folders = Folders::of(&engine.inspect("full", "{{.State.Pid}}"));
    if folders.get("memory").is_none() {
        // There the kernel kills until the limit fits.
        remark("SKIPPED: cgroups are unified here");
        return;
    }
    engine
        .docker(&["update", "-m", "8m", "--memory-swap", "8m", "full"])
        .code(1)
        .says("unable to set memory limit to 8388608 (current usage: ");
    assert_eq!(engine.inspect("full", "{{.HostConfig.Memory}}"), "67108864");
    let limit = folders.read("memory", "memory.limit_in_bytes");
    assert_eq!(limit.as_deref(), Some("67108864"));
    // Both at once, beyond the old limits and below them.
    for size in ["128m", "48m"] {
        engine
            .docker(&["update", "-m", size, "--memory-swap", size, "full"])
            .ok();
    }
    let limit = folders.read("memory", "memory.memsw.limit_in_bytes");
    assert_eq!(limit.as_deref(), Some("50331648"));
    engine.docker(&["rm", "-f", "full"]).ok();
}

#[test]
fn real_time_is_handed_out_where_the_kernel_has_groups_of_it() {
    let root = Folders::of("self");
    let there = root.get("cpu").is_some_and(|cpu| {
        let mut above = cpu.ancestors();
        above.any(|dir| dir.join("cpu.rt_runtime_us").exists())
    });
    if !there {
        remark("SKIPPED: no groups of real-time tasks here");
        return;
    }
    let engine = Engine::start_with(&["--cpu-rt-runtime", "20000"]);
    gantry_only!(engine);
    engine.import_busybox();
    let run = ["run", "-d", "--name", "prompt", "--cpu-rt-runtime", "5000"];
    engine
        .docker(&[&run[..], &["busybox", "sleep", "1000"]].concat())
        .ok();
    let folders = Folders::of(&engine.inspect("prompt", "{{.State.Pid}}"));
    let runtime = folders.read("cpu", "cpu.rt_runtime_us");
    assert_eq!(runtime.as_deref(), Some("5000"));
    let shown = engine.inspect("prompt", "{{.HostConfig.CpuRealtimeRuntime}}");
    assert_eq!(shown, "5000");
    engine.docker(&["rm", "-f", "prompt"]).ok();
}
