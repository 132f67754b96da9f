//! `pause` and `unpause`, and what a paused container does with everything else.

use crate::exec::with_box;
use crate::gantry_only;
use crate::run::wait_for;

#[test]
fn a_paused_container_is_one_after_the_daemon_was_killed() {
    let mut engine = with_box();
    gantry_only!(engine);
    engine.docker(&["pause", "box"]).ok().prints("box\n");
    engine.kill_daemon();
    engine.boot();
    assert_eq!(
        engine.inspect("box", "{{.State.Status}} {{.State.Paused}}"),
        "paused true"
    );
    let listed = engine.docker(&["ps", "--filter", "status=paused", "--format", "{{.Status}}"]);
    assert!(listed.ok().stdout.contains("(Paused)"));
    engine.docker(&["unpause", "box"]).ok();
    assert_eq!(
        engine.inspect("box", "{{.State.Status}} {{.State.Paused}}"),
        "running false"
    );
    engine.docker(&["exec", "box", "true"]).ok();
}

#[test]
fn refusals_are_dockers() {
    let engine = with_box();
    let id = engine.inspect("box", "{{.Id}}");
    let is = |what: &str| format!("Container {id} is {what}");
    engine
        .docker(&["unpause", "box"])
        .code(1)
        .says(&is("not paused"));
    engine.docker(&["pause", "box"]).ok();
    engine
        .docker(&["pause", "box"])
        .code(1)
        .says(&is("already paused"));
    let start = "cannot start a paused container, try unpause instead";
    engine.docker(&["start", "box"]).code(1).says(start);
    let remove = "cannot remove container \"box\": container is paused and must be unpaused first";
    engine.docker(&["rm", "box"]).code(1).says(remove);
    engine.docker(&["attach", "box"]).code(1).says("paused");
    engine.docker(&["top", "box"]).ok();
    engine.docker(&["rename", "box", "frozen"]).ok();
    engine.docker(&["kill", "frozen"]).ok();
    engine
        .docker(&["pause", "frozen"])
        .code(1)
        .says("is not running");
}

#[test]
fn signals_reach_a_paused_container() {
    let engine = with_box();
    let trap = "trap 'exit 5' TERM; while :; do sleep 0.05; done";
    for (name, command) in [("a", vec!["kill", "-s", "TERM"]), ("b", vec!["stop"])] {
        let name = format!("trapped-{name}");
        let run = [
            "run",
            "-d",
            "--name",
            &name,
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            trap,
        ];
        engine.docker(&run).ok();
        engine.docker(&["pause", &name]).ok();
        engine.docker(&[&command[..], &[&name]].concat()).ok();
        wait_for(|| engine.inspect(&name, "{{.State.ExitCode}} {{.State.Paused}}") == "5 false");
    }
    engine.docker(&["pause", "box"]).ok();
    engine.docker(&["rm", "-f", "box"]).ok();
}
