//! Health checks: what the transcript cannot show. What is done about an unhealthy
//! container, and what is left when the daemon ends.

use crate::gantry_only;
use crate::harness::Engine;
use crate::run::wait_for;

const HEALTH: &str = "{{.State.Health.Status}}";
/// Well as long as there is `/ok`, looked at often.
const CHECK: [&str; 6] = [
    "--health-cmd",
    "test -e /ok",
    "--health-interval",
    "200ms",
    "--health-retries",
    "2",
];
/// A program that is well when it begins, and fails soon.
const FAILS: &str = "touch /ok; sleep 1; rm /ok; exec sleep 1000";

fn run(engine: &Engine, options: &[&str], name: &str, script: &str) {
    let args = [&["run", "-d", "--name", name][..], &CHECK, options];
    let program = ["busybox", "sh", "-c", script];
    engine.docker(&[&args.concat()[..], &program].concat()).ok();
}

fn state(engine: &Engine, name: &str) -> String {
    engine.inspect(
        name,
        "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}",
    )
}

#[test]
fn a_restart_of_the_daemon_forgets_no_verdict() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    run(&engine, &[], "well", "touch /ok; sleep 1000");
    run(&engine, &[], "ill", "sleep 1000");
    wait_for(|| engine.inspect("well", HEALTH) == "healthy");
    wait_for(|| engine.inspect("ill", HEALTH) == "unhealthy");
    engine.kill_daemon();
    engine.boot();
    assert_eq!(engine.inspect("well", HEALTH), "healthy");
    assert_eq!(engine.inspect("ill", HEALTH), "unhealthy");
    let streak = "{{.State.Health.FailingStreak}}";
    assert!(
        engine
            .inspect("ill", streak)
            .parse::<u32>()
            .expect("a number")
            >= 2
    );
    // And the checks go on.
    engine.docker(&["exec", "well", "rm", "/ok"]).ok();
    engine.docker(&["exec", "ill", "touch", "/ok"]).ok();
    wait_for(|| engine.inspect("well", HEALTH) == "unhealthy");
    wait_for(|| engine.inspect("ill", HEALTH) == "healthy");
    engine.docker(&["pause", "ill"]).ok();
    engine.stop_daemon();
    engine.boot();
    assert_eq!(engine.inspect("ill", HEALTH), "unhealthy");
    engine.docker(&["unpause", "ill"]).ok();
    wait_for(|| engine.inspect("ill", HEALTH) == "healthy");
}

#[test]
fn an_unhealthy_container_is_started_again() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let annotation = "gantry.health-on-failure=restart";
    let options = ["--annotation", annotation, "--stop-timeout", "0"];
    run(&engine, &options, "again", FAILS);
    wait_for(|| state(&engine, "again") == "running 0 1");
    wait_for(|| engine.inspect("again", HEALTH) == "healthy");
    wait_for(|| state(&engine, "again") == "running 0 2");
    engine.docker(&["stop", "again"]).ok();
    assert_eq!(state(&engine, "again"), "exited 137 2");
    engine.docker(&["rm", "again"]).ok();
}

#[test]
fn the_limit_of_the_restart_policy_holds_for_unhealthy_containers() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let annotation = "gantry.health-on-failure=restart";
    let options = [
        "--annotation",
        annotation,
        "--stop-timeout",
        "0",
        "--restart",
        "on-failure:1",
    ];
    run(&engine, &options, "once", FAILS);
    wait_for(|| state(&engine, "once") == "exited 137 1");
}

#[test]
fn an_unhealthy_container_is_stopped_or_killed() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let asked = "trap 'exit 7' TERM; while :; do sleep 0.1; done";
    let annotation = |action: &str| format!("gantry.health-on-failure={action}");
    run(
        &engine,
        &["--annotation", &annotation("stop"), "--restart", "always"],
        "stop",
        asked,
    );
    run(
        &engine,
        &["--annotation", &annotation("kill")],
        "kill",
        asked,
    );
    run(
        &engine,
        &["--annotation", &annotation("none")],
        "none",
        asked,
    );
    let policy = [
        "--annotation",
        &annotation("kill"),
        "--restart",
        "on-failure:1",
    ];
    run(&engine, &policy, "policy", asked);
    wait_for(|| state(&engine, "stop") == "exited 7 0");
    wait_for(|| state(&engine, "kill") == "exited 137 0");
    wait_for(|| state(&engine, "policy") == "exited 137 1");
    wait_for(|| engine.inspect("none", HEALTH) == "unhealthy");
    assert_eq!(state(&engine, "none"), "running 0 0");
}

#[test]
fn our_client_has_a_flag_for_it() {
    let engine = Engine::with_busybox();
    let base = ["create", "--name", "flag", "--health-on-failure"];
    let create = |rest: &[&str]| engine.gantry(&[&base, rest].concat());
    if !engine.is_gantry() {
        create(&["kill", "--health-cmd", "true", "busybox"])
            .code(1)
            .says("option --health-on-failure is gantry's");
        return;
    }
    create(&["reboot", "--health-cmd", "true", "busybox"])
        .code(1)
        .says("\"reboot\": it must be one of none, restart, stop, kill");
    create(&["kill", "busybox"]).code(1).says("no health check");
    create(&["kill", "--no-healthcheck", "busybox"])
        .code(1)
        .says("no health check");
    create(&["kill", "--health-cmd", "true", "busybox"]).ok();
    let annotations = engine.inspect("flag", "{{json .HostConfig.Annotations}}");
    assert_eq!(annotations, r#"{"gantry.health-on-failure":"kill"}"#);
}
