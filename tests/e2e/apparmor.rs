//! AppArmor: where the kernel has it and the host its parser, as in the virtual machine
//! of `cargo xtask vm-test`, profiles confine containers.

use std::path::Path;

use crate::harness::{Engine, command, finish, remark};

/// Where the parser is on all hosts that have one.
const PARSER: &str = "/sbin/apparmor_parser";

/// Everything but reading one file.
const PROFILE: &str = "\
profile gantry-e2e-closed flags=(attach_disconnected,mediate_deleted) {
  capability, file, network, signal, umount, mount, pivot_root, ptrace, unix,
  deny /etc/closed rwklx,
}
";

/// An engine, where containers can be confined at all.
fn engine() -> Option<Engine> {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if !enabled.is_ok_and(|text| text.starts_with('Y')) || !Path::new(PARSER).exists() {
        remark("SKIPPED: this kernel has no AppArmor, or this machine no apparmor_parser");
        return None;
    }
    Some(Engine::with_busybox())
}

/// Which profile a process of a container has.
const CURRENT: [&str; 2] = ["cat", "/proc/self/attr/current"];

fn run(engine: &Engine, options: &[&str], words: &[&str]) -> crate::harness::Outcome {
    engine.docker(&[&["run", "--rm"], options, &["busybox"], words].concat())
}

#[test]
fn containers_have_the_default_profile_unless_another_is_named() {
    let Some(engine) = engine() else { return };
    let info = engine.docker(&["info", "--format", "{{.SecurityOptions}}"]);
    let options = info.ok().line();
    assert!(options.contains("name=apparmor"), "{options}");
    run(&engine, &[], &CURRENT).prints("docker-default (enforce)\n");
    for options in [
        &["--privileged"][..],
        &["--security-opt", "apparmor=unconfined"],
    ] {
        run(&engine, options, &CURRENT).prints("unconfined\n");
    }
    let start = ["run", "-d", "--name", "one", "busybox", "sleep", "1000"];
    engine.docker(&start).ok();
    let profile = engine.inspect("one", "{{.AppArmorProfile}}");
    assert_eq!(profile, "docker-default");
    let exec = |options: &[&str]| engine.docker(&[&["exec"], options, &["one"], &CURRENT].concat());
    exec(&[]).prints("docker-default (enforce)\n");
    exec(&["-u", "1000"]).prints("docker-default (enforce)\n");
    exec(&["--privileged"]).prints("unconfined\n");
}

#[test]
fn the_default_profile_denies_mounts_and_the_kernels_switches() {
    let Some(engine) = engine() else { return };
    // Nothing but the profile is in the way.
    let open = [
        "--cap-add",
        "SYS_ADMIN",
        "--cap-add",
        "SYS_RAWIO",
        "--security-opt",
        "seccomp=unconfined",
        "--security-opt",
        "systempaths=unconfined",
    ];
    let tries = [
        "mount -t tmpfs none /mnt",
        "cat /proc/sys/kernel/hostname >/proc/sys/kernel/hostname",
        "head -c 1 /proc/kcore",
        "ls /sys/firmware/acpi/",
    ];
    let unconfined = [&open[..], &["--security-opt", "apparmor=unconfined"]].concat();
    for words in tries {
        let line = format!("mkdir -p /mnt; {words} >/dev/null");
        let words = ["sh", "-c", line.as_str()];
        let denied = run(&engine, &open, &words);
        assert_ne!(denied.code, 0, "{line}: {denied:?}");
        assert!(denied.stderr.contains("denied"), "{line}: {denied:?}");
        run(&engine, &unconfined, &words).ok();
    }
}

#[test]
fn a_profile_of_ones_own_confines() {
    let Some(engine) = engine() else { return };
    finish(&mut command(PARSER, &["-r"]), PROFILE.as_bytes()).ok();
    let words = ["sh", "-c", "echo x >/etc/open && echo x >/etc/closed"];
    let closed = ["--security-opt", "apparmor=gantry-e2e-closed"];
    run(&engine, &[], &words).ok();
    let denied = run(&engine, &closed, &words).code(1);
    denied.says("/etc/closed: Permission denied");
    run(&engine, &closed, &CURRENT).prints("gantry-e2e-closed (enforce)\n");
    finish(&mut command(PARSER, &["-R"]), PROFILE.as_bytes()).ok();
}

#[test]
fn a_profile_that_is_not_there_is_refused() {
    let Some(engine) = engine() else { return };
    let missing = ["--security-opt", "apparmor=gantry-e2e-missing"];
    let refused = run(&engine, &missing, &["true"]);
    assert!((125..=127).contains(&refused.code), "{refused:?}");
    refused.says("gantry-e2e-missing");
    let create = ["create", "--name", "two"];
    engine
        .docker(&[&create[..], &missing, &["busybox", "true"]].concat())
        .ok();
    let started = engine.docker(&["start", "two"]);
    assert_ne!(started.code, 0, "{started:?}");
    assert_eq!(engine.inspect("two", "{{.State.Status}}"), "created");
}
