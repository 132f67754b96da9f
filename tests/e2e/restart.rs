//! Restart policies: who is started again, after how long, and who ends that.

use crate::gantry_only;
use crate::harness::Engine;
use crate::run::wait_for;

const STATE: &str =
    "{{.State.Status}} {{.State.Running}} {{.State.Restarting}} {{.State.ExitCode}}";

/// Starts a container in the background with a policy.
fn run(engine: &Engine, name: &str, policy: &str, script: &str) {
    let args = [
        "run",
        "-d",
        "--name",
        name,
        "--restart",
        policy,
        "busybox",
        "sh",
        "-c",
        script,
    ];
    engine.docker(&args).ok();
}

fn status(engine: &Engine, name: &str) -> String {
    engine.inspect(name, "{{.State.Status}}")
}

fn count(engine: &Engine, name: &str) -> u32 {
    let count = engine.inspect(name, "{{.RestartCount}}");
    count.parse().expect("a number")
}

#[test]
fn a_container_that_ends_is_started_again_until_it_is_stopped() {
    let engine = Engine::with_busybox();
    run(&engine, "loop", "always", "exit 3");
    // By then it waits long enough to be looked at in peace.
    wait_for(|| count(&engine, "loop") >= 5 && status(&engine, "loop") == "restarting");
    assert_eq!(engine.inspect("loop", STATE), "restarting true true 3");
    assert_eq!(engine.inspect("loop", "{{.State.Pid}}"), "0");
    let listed = engine
        .docker(&["ps", "--format", "{{.State}} {{.Status}}"])
        .ok()
        .line();
    assert!(listed.starts_with("restarting Restarting (3) "), "{listed}");
    let filter = ["ps", "-q", "--filter", "status=restarting"];
    assert_eq!(engine.docker(&filter).ok().stdout.lines().count(), 1);
    let counts = "{{.ContainersRunning}} {{.ContainersStopped}}";
    assert_eq!(engine.docker(&["info", "-f", counts]).ok().line(), "0 1");
    engine
        .docker(&["rm", "loop"])
        .code(1)
        .says("cannot remove container \"loop\": container is restarting: stop the container");
    engine.docker(&["start", "loop"]).ok();
    engine.docker(&["container", "prune", "-f"]).ok();
    engine.docker(&["stop", "loop"]).ok().prints("loop\n");
    assert_eq!(engine.inspect("loop", STATE), "exited false false 3");
    assert!(count(&engine, "loop") >= 5);
    engine.docker(&["start", "loop"]).ok();
    assert!(count(&engine, "loop") < 5, "a start by hand counts anew");
    wait_for(|| status(&engine, "loop") == "restarting");
    engine.docker(&["kill", "loop"]).ok();
    assert_eq!(status(&engine, "loop"), "exited");
    engine.docker(&["restart", "loop"]).ok();
    wait_for(|| count(&engine, "loop") >= 3);
    engine.docker(&["rm", "-f", "loop"]).ok();
}

#[test]
fn policies_look_at_the_exit_code_and_count() {
    let engine = Engine::with_busybox();
    run(&engine, "limited", "on-failure:2", "exit 4");
    run(&engine, "failing", "on-failure", "exit 4");
    run(&engine, "fine", "on-failure", "true");
    run(&engine, "never", "no", "exit 4");
    wait_for(|| count(&engine, "failing") >= 4);
    assert_eq!(engine.inspect("limited", STATE), "exited false false 4");
    assert_eq!(count(&engine, "limited"), 2);
    for (name, code) in [("fine", 0), ("never", 4)] {
        assert_eq!(
            engine.inspect(name, STATE),
            format!("exited false false {code}")
        );
        assert_eq!(count(&engine, name), 0);
    }
    let policy = engine.inspect("limited", "{{json .HostConfig.RestartPolicy}}");
    assert_eq!(policy, r#"{"Name":"on-failure","MaximumRetryCount":2}"#);
    // The client in the foreground leaves at the first end.
    engine
        .docker(&[
            "run",
            "--restart",
            "always",
            "busybox",
            "sh",
            "-c",
            "exit 5",
        ])
        .code(5);
}

#[test]
fn wrong_policies_are_refused() {
    let engine = Engine::with_busybox();
    for (policy, words) in [
        (
            "always:3",
            "maximum retry count can only be used with 'on-failure'",
        ),
        (
            "no:3",
            "maximum retry count can only be used with 'on-failure'",
        ),
        (
            "unless-stopped:-1",
            "can only be used with 'on-failure' and cannot be negative",
        ),
        (
            "on-failure:-1",
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            "foo",
            "invalid restart policy: unknown policy 'foo'; use one of 'no', 'always'",
        ),
    ] {
        let outcome = engine.docker(&["run", "--restart", policy, "busybox", "true"]);
        outcome.code(125).says(words);
    }
    let body =
        r#"{"Image":"busybox","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}"#;
    let url = "http://x/v1.47/containers/create";
    let answer = engine
        .curl(&["-H", "Content-Type: application/json", "-d", body, url])
        .stdout;
    assert!(
        answer.contains("can't create 'AutoRemove' container with restart policy"),
        "{answer}"
    );
}

#[test]
fn waits_end_with_a_run_and_not_with_the_policy() {
    let engine = Engine::with_busybox();
    run(&engine, "again", "always", "sleep 0.3; exit 6");
    for condition in ["not-running", "next-exit"] {
        let url = format!("http://x/v1.47/containers/again/wait?condition={condition}");
        let answer = engine.curl(&["-X", "POST", &url]).stdout;
        assert_eq!(
            answer.lines().next(),
            Some(r#"{"StatusCode":6}"#),
            "{condition}"
        );
    }
    wait_for(|| status(&engine, "again") == "running");
    assert!(count(&engine, "again") >= 1);
}

#[test]
fn a_restart_that_fails_is_the_last() {
    let engine = Engine::with_busybox();
    let program = engine.dir().join("program");
    std::fs::copy("/bin/busybox", &program).expect("a busybox on this machine");
    let dir = engine.dir().display().to_string();
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "gone",
            "--restart",
            "always",
            "-v",
            &format!("{dir}:/w"),
            "busybox",
            "/w/program",
            "sleep",
            "0.5",
        ])
        .ok();
    std::fs::remove_file(&program).expect("the program is there");
    wait_for(|| status(&engine, "gone") == "exited");
    assert_eq!(engine.inspect("gone", "{{.RestartCount}}"), "1");
    let error = engine.inspect("gone", "{{.State.Error}}");
    assert!(
        error.ends_with("exec: \"/w/program\": stat /w/program: no such file or directory"),
        "{error}"
    );
}

#[test]
fn policies_outlive_the_daemon() {
    for signal in ["TERM", "KILL", "no shims"] {
        let mut engine = Engine::with_busybox();
        gantry_only!(engine);
        let policies = ["always", "unless-stopped", "on-failure", "no"];
        for policy in policies {
            run(
                &engine,
                &format!("runs-{policy}"),
                policy,
                "exec sleep 1000",
            );
            run(
                &engine,
                &format!("stopped-{policy}"),
                policy,
                "exec sleep 1000",
            );
            engine.docker(&["kill", &format!("stopped-{policy}")]).ok();
            engine
                .docker(&[
                    "create",
                    "--name",
                    &format!("new-{policy}"),
                    "--restart",
                    policy,
                    "busybox",
                    "true",
                ])
                .ok();
        }
        match signal {
            "TERM" => engine.stop_daemon(),
            "KILL" => engine.kill_daemon(),
            // As after the machine has lost its power.
            _ => {
                engine.kill_daemon();
                engine.kill_shims();
            }
        }
        engine.boot();
        let lost = signal == "no shims";
        for policy in policies {
            let expected = match policy {
                "no" if lost => "exited",
                _ => "running",
            };
            let name = format!("runs-{policy}");
            wait_for(|| status(&engine, &name) == expected);
            // `on-failure` sees 137, whoever killed it.
            let expected = match policy {
                "always" | "on-failure" => "running",
                _ => "exited",
            };
            let name = format!("stopped-{policy}");
            wait_for(|| status(&engine, &name) == expected);
            assert_eq!(status(&engine, &format!("new-{policy}")), "created");
        }
    }
}
