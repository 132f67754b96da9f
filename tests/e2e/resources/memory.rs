//! What happens when memory runs out.

use crate::harness::Engine;
use crate::run::wait_for;

/// Takes ever more memory.
const EAT: &str = "x=a; while :; do x=$x$x; done";

#[test]
fn too_much_memory_is_killed_and_said() {
    let engine = Engine::with_busybox();
    let limits = ["-m", "16m", "--memory-swap", "16m"];
    let command = [
        &["run", "--name", "eater"][..],
        &limits,
        &["busybox", "sh", "-c", EAT],
    ];
    engine.docker(&command.concat()).code(137);
    assert_eq!(engine.inspect("eater", "{{.State.OOMKilled}}"), "true");
    wait_for(|| tells_oom(&engine, "eater"));
}

#[test]
fn a_process_beside_the_first_one_may_be_killed_and_the_container_lives() {
    let engine = Engine::with_busybox();
    let limits = ["-m", "16m", "--memory-swap", "16m"];
    let command = [
        &["run", "-d", "--name", "host"][..],
        &limits,
        &["busybox", "sleep", "1000"],
    ];
    engine.docker(&command.concat()).ok();
    engine.docker(&["exec", "host", "sh", "-c", EAT]).code(137);
    assert_eq!(engine.inspect("host", "{{.State.Running}}"), "true");
    wait_for(|| tells_oom(&engine, "host"));
    engine.docker(&["rm", "-f", "host"]).ok();
}

/// Whether the events so far say that a container was short of memory. Those of
/// the current second are told later.
fn tells_oom(engine: &Engine, name: &str) -> bool {
    let told = engine.docker(&[
        "events",
        "--since",
        "10m",
        "--until",
        "0s",
        "--filter",
        "event=oom",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    let wanted = format!("oom {name}");
    told.ok().stdout.lines().any(|line| line == wanted)
}
