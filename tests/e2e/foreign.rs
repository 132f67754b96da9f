//! `gantry runtime` in the place of runc: the real Docker and the real Podman run
//! containers with it.

use crate::harness::Engine;
use crate::harness::peers::{self, Foreign};
use crate::harness::remark;
use crate::run::wait_for;

/// The engine, unless it is not here.
fn engine(make: fn(&std::path::Path) -> Option<Foreign>) -> Option<Foreign> {
    if std::env::var_os("GANTRY_E2E_DOCKER").is_some() {
        remark("SKIPPED: foreign: needs our own runtime");
        return None;
    }
    let found = peers::folder();
    if found.is_none() {
        remark(
            "SKIPPED: foreign: the real Docker and Podman are not installed here (GANTRY_PEERS)",
        );
    }
    found.as_deref().and_then(make)
}

#[test]
fn docker_runs_containers_with_our_runtime() {
    if let Some(docker) = engine(Foreign::docker) {
        everyday(&docker);
        limits(&docker);
        namespaces(&docker);
    }
}

#[test]
fn podman_runs_containers_with_our_runtime() {
    if let Some(podman) = engine(Foreign::podman) {
        everyday(&podman);
        limits(&podman);
        namespaces(&podman);
    }
}

#[test]
fn archives_travel_to_docker_and_back() {
    let Some(docker) = engine(Foreign::docker) else {
        return;
    };
    let ours = Engine::with_busybox();
    ours.docker(&["create", "--name=source", "busybox"]).ok();
    let change = "ENV FROM=gantry";
    ours.docker(&["commit", "-c", change, "source", "travel/app:1"])
        .ok();
    let id = ours.inspect("travel/app:1", "{{.Id}}");
    let out = ours.dir().join("out.tar").display().to_string();
    ours.docker(&["save", "-o", &out, "busybox", "travel/app"])
        .ok();
    docker.call(&["rmi", "-f", "busybox"]).ok();
    docker.call(&["load", "-i", &out]).ok();
    let format = "--format={{.Id}} {{.Config.Env}}";
    let there = docker.call(&["inspect", format, "travel/app:1"]).ok();
    assert!(there.line().starts_with(&id), "{there:?}");
    assert!(there.line().contains("FROM=gantry"), "{there:?}");
    // Docker writes its own archive of it, with layers that are not packed.
    let back = ours.dir().join("back.tar").display().to_string();
    docker
        .call(&["save", "-o", &back, "busybox", "travel/app"])
        .ok();
    let other = Engine::start();
    other.docker(&["load", "-i", &back]).ok();
    assert_eq!(other.inspect("travel/app:1", "{{.Id}}"), id);
    let layers = "{{.RootFS.Layers}} {{.Parent}}";
    assert_eq!(
        other.inspect("travel/app:1", layers),
        ours.inspect("travel/app:1", layers)
    );
    ours.docker(&["rm", "source"]).ok();
}

const IMAGE: &str = "busybox";

fn run(engine: &Foreign, options: &[&str], command: &[&str]) -> crate::harness::Outcome {
    let all = [&["run", "--network=none"], options, &[IMAGE], command].concat();
    engine.call(&all)
}

/// run, exec, tty, pause, stop, kill, logs, rm: with their codes.
fn everyday(engine: &Foreign) {
    run(engine, &["--rm"], &["sh", "-c", "id -u; exit 7"])
        .code(7)
        .prints("0\n");
    run(engine, &["--rm"], &["nosuch"]).code(127);
    run(engine, &["--rm"], &["/etc/passwd"]).code(126);
    let tty = run(engine, &["--rm", "-t"], &["tty"]).ok();
    assert_eq!(tty.line(), "/dev/pts/0");
    let read_only = [
        "--rm",
        "--read-only",
        "--tmpfs=/scratch",
        "--user=1000:1000",
    ];
    run(
        engine,
        &read_only,
        &["sh", "-c", "id -u; touch /x; touch /scratch/x && echo ok"],
    )
    .prints("1000\nok\n")
    .says("Read-only file system");

    let script = "trap 'echo bye; exit 3' TERM; echo hi; while :; do sleep 0.05; done";
    run(engine, &["-d", "--name=first"], &["sh", "-c", script]).ok();
    wait_for(|| engine.call(&["logs", "first"]).stdout == "hi\n");
    engine
        .call(&[
            "exec",
            "-e",
            "A=x",
            "-u",
            "1000",
            "first",
            "sh",
            "-c",
            "echo $A; id -u; exit 5",
        ])
        .code(5)
        .prints("x\n1000\n");
    engine.call(&["exec", "first", "nosuch"]).code(127);
    let tty = engine.call(&["exec", "-t", "first", "tty"]).ok();
    assert!(tty.line().starts_with("/dev/pts/"), "{tty:?}");
    engine.call(&["pause", "first"]).ok();
    let status = ["inspect", "-f", "{{.State.Status}}", "first"];
    engine.call(&status).prints("paused\n");
    assert_ne!(engine.call(&["exec", "first", "true"]).code, 0);
    engine.call(&["unpause", "first"]).ok();
    let top = engine.call(&["top", "first"]).ok().stdout;
    assert!(top.contains("sleep"), "{top}");
    engine.call(&["stop", "-t", "20", "first"]).ok();
    let code = ["inspect", "-f", "{{.State.ExitCode}}", "first"];
    engine.call(&code).prints("3\n");
    engine.call(&["logs", "first"]).prints("hi\nbye\n");
    engine.call(&["start", "first"]).ok();
    engine.call(&["kill", "first"]).ok();
    wait_for(|| engine.call(&code).stdout == "137\n");
    engine.call(&["rm", "first"]).ok();
    engine.call(&["ps", "-aq"]).prints("");
}

/// Limits, as they begin and as they are changed.
fn limits(engine: &Foreign) {
    let read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max \
                /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true";
    let options = [
        "-d",
        "--stop-timeout=1",
        "--name=limited",
        "--memory=64m",
        "--memory-swap=64m",
        "--pids-limit=50",
    ];
    run(engine, &options, &["sleep", "1000"]).ok();
    engine
        .call(&["exec", "limited", "sh", "-c", read])
        .prints("67108864\n50\n");
    let update = [
        "update",
        "--memory=80m",
        "--memory-swap=80m",
        "--pids-limit=60",
        "limited",
    ];
    engine.call(&update).ok();
    engine
        .call(&["exec", "limited", "sh", "-c", read])
        .prints("83886080\n60\n");
    engine.call(&["rm", "-f", "limited"]).ok();
}

/// Namespaces of others, all rights, an init.
fn namespaces(engine: &Foreign) {
    run(
        engine,
        &[
            "-d",
            "--stop-timeout=1",
            "--name=joined",
            "--ipc=shareable",
            "--hostname=see",
        ],
        &["sleep", "1000"],
    )
    .ok();
    let joined = ["--rm", "--pid=container:joined", "--ipc=container:joined"];
    let first = run(engine, &joined, &["cat", "/proc/1/comm"]);
    first.ok().prints("sleep\n");
    engine.call(&["exec", "joined", "hostname"]).prints("see\n");
    engine.call(&["rm", "-f", "joined"]).ok();
    let rights = run(
        engine,
        &["--rm", "--privileged"],
        &["mount", "-t", "tmpfs", "x", "/tmp"],
    );
    rights.ok();
    let host = ["--rm", "--pid=host", "--uts=host", "--ipc=host"];
    run(engine, &host, &["true"]).ok();
    run(
        engine,
        &["--rm", "--security-opt=seccomp=unconfined"],
        &["grep", "Seccomp:", "/proc/self/status"],
    )
    .prints("Seccomp:\t0\n");
}
