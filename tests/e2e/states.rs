//! `State` in every phase, and what spoilt records and a stopped daemon do to it.

use crate::gantry_only;
use crate::harness::{Engine, command, finish};
use crate::run::wait_for;

const FLAGS: &str = "{{.State.Status}} {{.State.Running}} {{.State.Paused}} {{.State.Restarting}} \
                     {{.State.OOMKilled}} {{.State.Dead}} {{.State.ExitCode}}";

#[test]
fn every_phase_has_its_flags() {
    let engine = Engine::with_busybox();
    let flags = |name: &str| engine.inspect(name, FLAGS);
    engine
        .docker(&["create", "--name", "one", "busybox", "sleep", "1000"])
        .ok();
    assert_eq!(flags("one"), "created false false false false false 0");
    let times = "{{.State.Pid}} {{.State.StartedAt}} {{.State.FinishedAt}}";
    let never = "0001-01-01T00:00:00Z";
    assert_eq!(engine.inspect("one", times), format!("0 {never} {never}"));
    engine.docker(&["start", "one"]).ok();
    assert_eq!(flags("one"), "running true false false false false 0");
    assert_eq!(engine.inspect("one", "{{.State.FinishedAt}}"), never);
    engine.docker(&["pause", "one"]).ok();
    assert_eq!(flags("one"), "paused true true false false false 0");
    let status = engine
        .docker(&["ps", "--format", "{{.State}} {{.Status}}"])
        .ok();
    assert!(status.line().starts_with("paused Up "), "{status:?}");
    assert!(status.line().ends_with(" (Paused)"), "{status:?}");
    // A paused one is stopped all the same.
    engine.docker(&["stop", "-t", "1", "one"]).ok();
    assert_eq!(flags("one"), "exited false false false false false 137");
    engine.docker(&["start", "one"]).ok();
    assert_eq!(flags("one"), "running true false false false false 0");
    let ended = "{{.State.FinishedAt}}";
    assert_ne!(engine.inspect("one", ended), never, "of the last run");
}

#[test]
fn a_container_without_memory_is_told_from_one_that_was_killed() {
    let engine = Engine::with_busybox();
    let hungry = "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done";
    let limits = ["--memory", "16m", "--memory-swap", "16m"];
    let args = [
        &["run", "--name", "hungry"],
        &limits[..],
        &["busybox", "sh", "-c", hungry],
    ];
    engine.docker(&args.concat()).code(137);
    assert_eq!(
        engine.inspect("hungry", FLAGS),
        "exited false false false true false 137"
    );
    engine.docker(&["start", "hungry"]).ok();
    engine.docker(&["wait", "hungry"]).ok().prints("137\n");
}

#[test]
fn spoilt_records_do_not_keep_the_others_from_running() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    for name in ["record", "state", "fine"] {
        let run = ["run", "-d", "--name", name, "busybox", "sleep", "1000"];
        engine.docker(&run).ok();
    }
    engine.kill_daemon();
    let database = engine.dir().join("data/metadata.db").display().to_string();
    for column in ["record", "state"] {
        let update = format!("UPDATE containers SET {column} = 'spoilt' WHERE name = '{column}'");
        finish(&mut command("sqlite3", &[&database, &update]), b"").ok();
    }
    engine.boot();
    assert_eq!(engine.inspect("fine", "{{.State.Status}}"), "running");
    // Its shim knows better.
    assert_eq!(engine.inspect("state", "{{.State.Status}}"), "running");
    engine
        .docker(&["exec", "state", "echo", "hi"])
        .prints("hi\n");
    assert_eq!(engine.inspect("record", "{{.State.Status}}"), "dead");
    let error = engine.inspect("record", "{{.State.Error}}");
    assert!(error.contains("can only be removed"), "{error}");
    engine
        .docker(&["start", "record"])
        .code(1)
        .says("marked for removal");
    engine.docker(&["rm", "record"]).ok();
    engine
        .docker(&["run", "--name", "record", "busybox", "true"])
        .ok();
}

#[test]
fn a_stopped_daemon_forgets_nothing() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let ends = [
        "run",
        "-d",
        "--name",
        "ends",
        "busybox",
        "sh",
        "-c",
        "sleep 1; exit 9",
    ];
    engine.docker(&ends).ok();
    let pid = engine.pid().to_string();
    let signal = |name: &str| finish(&mut command("kill", &[name, &pid]), b"").ok();
    signal("-STOP");
    std::thread::sleep(std::time::Duration::from_secs(4));
    signal("-CONT");
    wait_for(|| engine.inspect("ends", "{{.State.Status}}") == "exited");
    assert_eq!(engine.inspect("ends", "{{.State.ExitCode}}"), "9");
    engine.docker(&["start", "ends"]).ok();
    engine.docker(&["wait", "ends"]).ok().prints("9\n");
}
