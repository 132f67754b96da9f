//! `--init`: a first process that reaps and forwards, whatever runs below it.

use crate::gantry_only;
use crate::harness::Engine;
use crate::run::wait_for;

fn run(engine: &Engine, args: &[&str]) -> crate::harness::Outcome {
    engine.docker(&[&["run", "--rm", "--init", "busybox"], args].concat())
}

#[test]
fn the_init_is_the_first_process_and_hands_codes_on() {
    let engine = Engine::with_busybox();
    let script = "tr '\\0' ' ' </proc/1/cmdline; grep -c ' /sbin/docker-init ' /proc/self/mounts";
    let told = run(&engine, &["sh", "-c", script]).ok().stdout;
    assert!(told.starts_with("/sbin/docker-init -- sh -c "), "{told}");
    assert!(told.ends_with("1\n"), "{told}");
    run(&engine, &["sh", "-c", "exit 7"]).code(7);
    run(&engine, &["sh", "-c", "kill -9 $$"]).code(137);
    run(&engine, &["nope"])
        .code(127)
        .says("exec nope failed: No such file or directory");
    run(&engine, &["/tmp"])
        .code(126)
        .says("exec /tmp failed: Permission denied");
    let path = "{{.Path}} {{.Args}} {{.HostConfig.Init}}";
    engine
        .docker(&["create", "--init", "--name", "shown", "busybox", "x", "y"])
        .ok();
    assert_eq!(engine.inspect("shown", path), "x [y] true");
}

#[test]
fn signals_reach_the_program_and_orphans_are_reaped() {
    let engine = Engine::with_busybox();
    let args = ["run", "-d", "--init", "--name", "asked", "busybox"];
    engine
        .docker(&[&args[..], &["sleep", "1000"]].concat())
        .ok();
    engine.docker(&["stop", "-t", "10", "asked"]).ok();
    // As pid 1 it would not have noticed.
    assert_eq!(engine.inspect("asked", "{{.State.ExitCode}}"), "143");
    let orphans = "for i in 1 2 3 4 5; do (sleep 0.1 &); done; sleep 1; \
                   cat /proc/[0-9]*/stat | grep -c ') Z '";
    run(&engine, &["sh", "-c", orphans]).code(1).prints("0\n");
}

#[test]
fn without_a_pid_namespace_of_its_own_there_is_no_init() {
    let engine = Engine::with_busybox();
    let args = ["run", "--rm", "--init", "--pid", "host", "busybox"];
    let looks = ["sh", "-c", "grep -c docker-init /proc/self/mounts"];
    engine.docker(&[&args[..], &looks].concat()).prints("0\n");
}

#[test]
fn the_daemon_can_ask_for_it() {
    let engine = Engine::start_with(&["--init"]);
    gantry_only!(engine);
    engine.import_busybox();
    let first = ["cat", "/proc/1/comm"];
    let run = ["run", "--rm", "busybox"];
    let without = ["run", "--rm", "--init=false", "busybox"];
    engine
        .docker(&[&run[..], &first].concat())
        .prints("docker-init\n");
    engine
        .docker(&[&without[..], &first].concat())
        .prints("cat\n");
    wait_for(|| engine.docker(&["ps", "-aq"]).ok().stdout.is_empty());
}
