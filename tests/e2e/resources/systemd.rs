//! Cgroups that systemd makes: on machines where it is the first process.

use std::path::Path;

use serde_json::json;

use super::folders::Folders;
use super::runtime::Bundle;
use crate::gantry_only;
use crate::harness::{Engine, command, finish, remark};
use crate::run::wait_for;

const DRIVER: [&str; 2] = ["--exec-opt", "native.cgroupdriver=systemd"];

/// Whether systemd runs this machine; says so if not.
fn there() -> bool {
    let there = Path::new("/run/systemd/private").exists();
    if !there {
        remark("SKIPPED: systemd does not run this machine");
    }
    there
}

/// Slices that nobody uses stay until somebody stops them.
fn stop(slice: &str) {
    finish(&mut command("systemctl", &["stop", slice]), b"").ok();
}

/// A property of a unit, as systemd has it.
fn property(unit: &str, name: &str) -> String {
    let args = ["show", "--value", "-p", name, unit];
    finish(&mut command("systemctl", &args), b"").ok().line()
}

#[test]
fn a_container_is_a_scope_with_its_limits() {
    if !there() {
        return;
    }
    let engine = Engine::start_with(&DRIVER);
    gantry_only!(engine);
    engine.import_busybox();
    let driver = engine.docker(&["info", "--format", "{{.CgroupDriver}}"]);
    driver.ok().prints("systemd\n");
    let options = ["-m", "64m", "--pids-limit", "33", "--cpus", "0.5"];
    let run = [
        &["run", "-d", "--name", "unit"][..],
        &options,
        &["busybox", "sleep", "1000"],
    ];
    engine.docker(&run.concat()).ok();
    let unit = format!("gantry-{}.scope", engine.inspect("unit", "{{.Id}}"));
    let folders = Folders::of(&engine.inspect("unit", "{{.State.Pid}}"));
    let end = format!("{}/{unit}", engine.cgroup_parent());
    let all = folders.all();
    assert!(all.iter().all(|folder| folder.ends_with(&end)), "{all:?}");
    assert_eq!(property(&unit, "ActiveState"), "active");
    assert_eq!(property(&unit, "Slice"), engine.cgroup_parent());
    assert_eq!(property(&unit, "MemoryMax"), "67108864");
    assert_eq!(property(&unit, "TasksMax"), "33");
    assert_eq!(folders.read("", "memory.max").as_deref(), Some("67108864"));
    assert_eq!(folders.read("", "pids.max").as_deref(), Some("33"));
    assert_eq!(folders.read("", "cpu.max").as_deref(), Some("50000 100000"));

    engine.docker(&["exec", "unit", "true"]).ok();
    let own = engine.docker(&["exec", "unit", "cat", "/proc/self/cgroup"]);
    own.ok().prints("0::/\n");
    let limit = ["stats", "--no-stream", "--format", "{{.MemUsage}}", "unit"];
    assert!(engine.docker(&limit).ok().line().ends_with(" / 64MiB"));
    engine.docker(&["pause", "unit"]).ok();
    assert_eq!(folders.read("", "cgroup.freeze").as_deref(), Some("1"));
    engine.docker(&["unpause", "unit"]).ok();

    engine.docker(&["rm", "-f", "unit"]).ok();
    wait_for(|| all.iter().all(|folder| !folder.exists()));
    wait_for(|| property(&unit, "LoadState") == "not-found");
    stop(engine.cgroup_parent());
}

#[test]
fn a_parent_must_be_a_slice() {
    if !there() {
        return;
    }
    let engine = Engine::start_with(&DRIVER);
    gantry_only!(engine);
    engine.import_busybox();
    let words = "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"";
    let run = |parent: &str| {
        engine.docker(&[
            "run",
            "--rm",
            "--cgroup-parent",
            parent,
            "busybox",
            "cat",
            "/proc/self/cgroup",
        ])
    };
    run("/gantry").code(125).says(words);
    let nested = engine.cgroup_parent().replace(".slice", "-inner.slice");
    run(&nested).ok().prints("0::/\n");
    stop(&nested);
    stop(engine.cgroup_parent());
}

#[test]
fn the_runtime_has_systemds_form_of_paths() {
    if !there() {
        return;
    }
    let engine = Engine::start();
    gantry_only!(engine);
    let mut bundle = Bundle::new(&json!({"memory": {"limit": 50331648}}));
    let unit = bundle.systemd("gantrye2e.slice");
    let folders = bundle.start();
    let end = format!("gantrye2e.slice/{unit}");
    assert!(folders.all().iter().all(|folder| folder.ends_with(&end)));
    assert_eq!(folders.read("", "memory.max").as_deref(), Some("50331648"));
    assert_eq!(property(&unit, "MemoryMax"), "50331648");
    drop(bundle);
    wait_for(|| property(&unit, "LoadState") == "not-found");
    stop("gantrye2e.slice");
}
