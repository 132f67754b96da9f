//! The exit codes and messages of `docker run` that scripts rely on.

use crate::harness::Engine;

#[test]
fn the_containers_own_code_is_passed_on() {
    let engine = Engine::with_busybox();
    for code in [0, 1, 7, 125, 126, 127, 255] {
        engine
            .docker(&[
                "run",
                "--rm",
                "busybox",
                "sh",
                "-c",
                &format!("exit {code}"),
            ])
            .code(code);
    }
}

#[test]
fn a_signal_is_128_and_its_number() {
    let engine = Engine::with_busybox();
    // PID 1 ignores signals from inside without a handler: a child dies instead.
    engine
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "sh -c 'kill -9 $$'; exit $?",
        ])
        .code(137);
    engine
        .docker(&["run", "--name", "victim", "-d", "busybox", "sleep", "1000"])
        .ok();
    engine.docker(&["kill", "--signal", "KILL", "victim"]).ok();
    engine.docker(&["wait", "victim"]).ok().prints("137\n");
    assert_eq!(
        engine.inspect("victim", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 137"
    );
}

#[test]
fn a_missing_command_is_127() {
    let engine = Engine::with_busybox();
    let outcome = engine
        .docker(&["run", "--name", "missing", "busybox", "no-such-command"])
        .code(127);
    outcome.says("exec: \"no-such-command\": executable file not found in $PATH");
    assert_eq!(
        engine.inspect("missing", "{{.State.ExitCode}} {{.State.Status}}"),
        "127 created"
    );
    engine
        .docker(&["run", "--rm", "busybox", "/no/such/path"])
        .code(127)
        .says("no such file or directory");
}

#[test]
fn what_cannot_be_executed_is_126() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "--rm", "busybox", "/etc/passwd"])
        .code(126)
        .says("permission denied");
    engine.docker(&["run", "--rm", "busybox", "/etc"]).code(126);
}

#[test]
fn what_the_daemon_refuses_is_125() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "--name", "with space", "busybox"])
        .code(125)
        .says("Invalid container name (with space)");
    engine
        .docker(&["run", "--name", "../up", "busybox"])
        .code(125)
        .says("Invalid container name (../up)");
    engine
        .docker(&["run", "-m", "1k", "busybox"])
        .code(125)
        .says("Minimum memory limit allowed is 6MB");
    engine
        .docker(&["run", "--cap-add", "NO_SUCH", "busybox"])
        .code(125)
        .says("NO_SUCH");
    engine
        .docker(&["run", "--security-opt", "nonsense", "busybox"])
        .code(125);
    engine
        .docker(&["run", "-u", "nobody-here", "busybox", "true"])
        .code(125)
        .says("unable to find user nobody-here");
    engine
        .docker(&["run", "--workdir", "relative", "busybox", "true"])
        .code(125)
        .says("relative");
    let left = engine
        .docker(&["ps", "-aq", "--filter", "status=running"])
        .ok();
    left.prints("");
}

#[test]
fn a_taken_name_is_a_conflict() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["create", "--name", "taken", "busybox"])
        .ok();
    let words = "Conflict. The container name \"/taken\" is already in use by container";
    engine
        .docker(&["create", "--name", "taken", "busybox"])
        .code(1)
        .says(words);
    engine
        .docker(&["run", "--name", "taken", "busybox"])
        .code(125)
        .says(words);
}
