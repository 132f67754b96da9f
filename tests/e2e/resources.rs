//! Limits: what the kernel was told, what it does then, and that nothing of a
//! container stays in any hierarchy. All of it runs on this machine's cgroups and,
//! by `cargo xtask vm-test`, on unified ones.

mod folders;
mod limits;
mod memory;
mod parent;
mod runtime;
mod stats;
mod systemd;
mod update;

use crate::gantry_only;
use crate::harness::Engine;
use crate::run::wait_for;
use folders::Folders;

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
fn rules_for_devices_are_the_kernels() {
    let engine = Engine::with_busybox();
    // 1:11 is the kernel's log, which everybody who may can open for writing;
    // nothing is written to it.
    let script = "mknod /tmp/log c 1 11 && true >>/tmp/log && echo open; true";
    let run = |rule: &str| {
        let options = ["run", "--rm", "--device-cgroup-rule", rule];
        engine.docker(&[&options[..], &["busybox", "sh", "-c", script]].concat())
    };
    run("c 1:11 wm").prints("open\n");
    run("c *:11 rwm").prints("open\n");
    for denied in ["c 1:11 rm", "c 1:12 rwm", "b 1:11 rwm"] {
        run(denied).prints("").says("Operation not permitted");
    }
}

#[test]
fn a_paused_container_is_frozen_by_the_kernel() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "ice", "busybox", "sleep", "1000"])
        .ok();
    let folders = Folders::of(&engine.inspect("ice", "{{.State.Pid}}"));
    let state = || {
        folders
            .read("freezer", "freezer.state")
            .or_else(|| folders.read("", "cgroup.freeze"))
            .expect("a freezer")
    };
    engine.docker(&["pause", "ice"]).ok();
    assert!(["FROZEN", "1"].contains(&state().as_str()), "{}", state());
    engine.docker(&["unpause", "ice"]).ok();
    assert!(["THAWED", "0"].contains(&state().as_str()), "{}", state());
    engine.docker(&["rm", "-f", "ice"]).ok();
}

#[test]
fn nothing_of_a_container_is_left_in_the_hierarchies() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "gone", "busybox", "sleep", "1000"])
        .ok();
    let folders = Folders::of(&engine.inspect("gone", "{{.State.Pid}}"));
    let own = folders.all();
    assert!(
        !own.is_empty() && own.iter().all(|folder| folder.is_dir()),
        "{own:?}"
    );
    engine.docker(&["rm", "-f", "gone"]).ok();
    wait_for(|| own.iter().all(|folder| !folder.exists()));
}

#[test]
fn a_container_that_shares_the_hosts_cgroups_leaves_the_hosts_options_alone() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    // A new mount of the unified hierarchy changes the options of all of them.
    let options = || {
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
        let unified = table
            .lines()
            .filter_map(|line| line.split_once(" - cgroup2 "));
        unified.map(|(_, rest)| rest.to_owned()).collect::<Vec<_>>()
    };
    let before = options();
    let look = "grep ' - cgroup2 ' /proc/self/mountinfo; true";
    let run = ["run", "--rm", "--cgroupns", "host", "busybox", "sh", "-c"];
    let seen = engine.docker(&[&run[..], &[look]].concat()).ok().stdout;
    assert_eq!(options(), before);
    // Where there are old hierarchies too, the container may see only those.
    for line in seen.lines() {
        let own = " / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - ";
        assert!(line.contains(own), "{line}");
    }
    if Folders::of("self").all().len() == 1 {
        assert_eq!(seen.lines().count(), 1, "{seen}");
    }
}
