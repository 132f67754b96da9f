//! What a container may not do, and the options that change it.

use crate::harness::Engine;

fn status(engine: &Engine, args: &[&str], key: &str) -> String {
    let words = [
        &["run", "--rm"],
        args,
        &["busybox", "sh", "-c", "cat /proc/self/status"],
    ]
    .concat();
    let text = engine.docker(&words).ok().stdout;
    let line = text.lines().find_map(|line| {
        line.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(":"))
    });
    line.unwrap_or_else(|| panic!("{key} in {text}"))
        .trim()
        .to_owned()
}

#[test]
fn capabilities_are_dockers() {
    let engine = Engine::with_busybox();
    assert_eq!(status(&engine, &[], "CapEff"), "00000000a80425fb");
    assert_eq!(status(&engine, &[], "CapBnd"), "00000000a80425fb");
    assert_eq!(
        status(&engine, &["--cap-drop", "ALL"], "CapBnd"),
        "0000000000000000"
    );
    assert_eq!(
        status(
            &engine,
            &["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"],
            "CapEff"
        ),
        "0000000000001000"
    );
    assert_eq!(
        status(&engine, &["-u", "1000"], "CapEff"),
        "0000000000000000"
    );
    engine
        .docker(&[
            "run",
            "--rm",
            "--cap-drop",
            "CHOWN",
            "busybox",
            "chown",
            "1",
            "/tmp",
        ])
        .code(1);
}

#[test]
fn seccomp_and_no_new_privileges() {
    let engine = Engine::with_busybox();
    assert_eq!(status(&engine, &[], "Seccomp"), "2");
    assert_eq!(
        status(
            &engine,
            &["--security-opt", "seccomp=unconfined"],
            "Seccomp"
        ),
        "0"
    );
    assert_eq!(status(&engine, &["--privileged"], "Seccomp"), "0");
    assert_eq!(status(&engine, &[], "NoNewPrivs"), "0");
    assert_eq!(
        status(
            &engine,
            &["--security-opt", "no-new-privileges"],
            "NoNewPrivs"
        ),
        "1"
    );
    let mount = ["busybox", "mount", "-t", "tmpfs", "none", "/mnt"];
    engine
        .docker(
            &[
                &["run", "--rm", "--cap-add", "SYS_ADMIN", "-w", "/mnt"],
                &mount[..],
            ]
            .concat(),
        )
        .ok();
    engine
        .docker(&[&["run", "--rm", "-w", "/mnt"], &mount[..]].concat())
        .code(1);
    let profile = engine.dir().join("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
        "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    std::fs::write(&profile, text).expect("a profile");
    let option = format!("seccomp={}", profile.display());
    engine
        .docker(&[
            "run",
            "--rm",
            "--security-opt",
            &option,
            "busybox",
            "mkdir",
            "/new",
        ])
        .code(1)
        .says("Operation not permitted");
}

#[test]
fn paths_of_the_kernel_are_masked() {
    let engine = Engine::with_busybox();
    engine
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "test ! -s /proc/kcore; test -z \"$(ls /sys/firmware)\"",
        ])
        .ok();
    engine
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "echo 1 >/proc/sys/kernel/panic",
        ])
        .code(1)
        .says("Read-only");
    engine
        .docker(&["run", "--rm", "busybox", "sh", "-c", "mkdir /sys/x"])
        .code(1);
    let devices = engine
        .docker(&["run", "--rm", "busybox", "ls", "/dev"])
        .ok()
        .stdout;
    for name in [
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd",
        "stdin",
    ] {
        assert!(
            devices.lines().any(|line| line == name),
            "{name} in {devices}"
        );
    }
    engine
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "mknod /tmp/disk b 1 0 && cat /tmp/disk",
        ])
        .code(1)
        .says("ermitted");
}

#[test]
fn privileged_sees_the_devices() {
    let engine = Engine::with_busybox();
    let all = status(&engine, &["--privileged"], "CapEff");
    assert!(
        u64::from_str_radix(&all, 16).expect("a mask") & (1 << 21) != 0,
        "{all}"
    );
    engine
        .docker(&[
            "run",
            "--rm",
            "--privileged",
            "busybox",
            "test",
            "-e",
            "/dev/kmsg",
        ])
        .ok();
    engine
        .docker(&["run", "--rm", "busybox", "test", "-e", "/dev/kmsg"])
        .code(1);
    engine
        .docker(&[
            "run",
            "--rm",
            "--privileged",
            "busybox",
            "mount",
            "-t",
            "tmpfs",
            "none",
            "/tmp",
        ])
        .ok();
}

#[test]
fn namespaces_can_be_the_hosts() {
    let engine = Engine::with_busybox();
    let guest = |args: &[&str], name: &str| {
        let link = format!("/proc/self/ns/{name}");
        engine
            .docker(&[&["run", "--rm"], args, &["busybox", "readlink", &link]].concat())
            .ok()
            .line()
    };
    let host = |name: &str| {
        std::fs::read_link(format!("/proc/self/ns/{name}"))
            .expect("a namespace")
            .display()
            .to_string()
    };
    for name in ["pid", "ipc", "uts"] {
        assert_eq!(
            guest(&[&format!("--{name}=host")], name),
            host(name),
            "{name}"
        );
        assert_ne!(guest(&[], name), host(name), "{name}");
    }
    assert_ne!(guest(&[], "mnt"), host("mnt"));
}
