//! create, start, stop, kill, restart, wait, ps, inspect, rm, prune.

use std::time::Instant;

use serde_json::json;

use crate::gantry_only;
use crate::harness::Engine;
use crate::harness::api::Api;
use crate::run::wait_for;

#[test]
fn a_container_goes_through_its_phases() {
    let engine = Engine::with_busybox();
    let id = engine
        .docker(&["create", "--name", "phases", "busybox", "sleep", "1000"])
        .ok()
        .line();
    assert_eq!(id.len(), 64);
    let state = || {
        engine.inspect(
            "phases",
            "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}",
        )
    };
    assert_eq!(state(), "created false 0");
    assert_eq!(
        engine.inspect("phases", "{{.State.StartedAt}}"),
        "0001-01-01T00:00:00Z"
    );
    engine.docker(&["start", "phases"]).ok().prints("phases\n");
    assert_eq!(state(), "running true 0");
    engine.docker(&["start", "phases"]).ok();
    engine.docker(&["kill", "phases"]).ok().prints("phases\n");
    engine.docker(&["wait", &id[..12]]).ok().prints("137\n");
    assert_eq!(state(), "exited false 137");
    engine
        .docker(&["kill", "phases"])
        .code(1)
        .says("is not running");
    engine.docker(&["start", &id]).ok();
    assert_eq!(state(), "running true 0");
    engine
        .docker(&["rm", "phases"])
        .code(1)
        .says("cannot remove container \"phases\": container is running");
    engine
        .docker(&["rm", "-f", "phases"])
        .ok()
        .prints("phases\n");
    engine.docker(&["inspect", "phases"]).code(1);
    engine
        .docker(&["start", "phases"])
        .code(1)
        .says("No such container: phases");
}

#[test]
fn stop_asks_first_and_kills_later() {
    let engine = Engine::with_busybox();
    let polite = "trap 'exit 3' TERM; while :; do sleep 0.05; done";
    engine
        .docker(&[
            "run", "-d", "--name", "polite", "busybox", "sh", "-c", polite,
        ])
        .ok();
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "stubborn",
            "busybox",
            "sh",
            "-c",
            "trap '' TERM; sleep 1000",
        ])
        .ok();
    engine.docker(&["stop", "polite"]).ok().prints("polite\n");
    assert_eq!(engine.inspect("polite", "{{.State.ExitCode}}"), "3");
    let begun = Instant::now();
    engine.docker(&["stop", "-t", "1", "stubborn"]).ok();
    assert!(begun.elapsed().as_secs() < 8, "one second, then SIGKILL");
    assert_eq!(engine.inspect("stubborn", "{{.State.ExitCode}}"), "137");
    engine.docker(&["stop", "stubborn"]).ok();
}

#[test]
fn the_stop_signal_is_respected() {
    let engine = Engine::with_busybox();
    let script = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "usr1",
            "--stop-signal",
            "USR1",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .ok();
    // A first process that does not catch it yet would never know of it.
    wait_for(|| engine.docker(&["logs", "usr1"]).stdout == "ready\n");
    engine.docker(&["stop", "usr1"]).ok();
    assert_eq!(engine.inspect("usr1", "{{.State.ExitCode}}"), "9");
}

#[test]
fn restart_is_a_new_process_on_the_same_files() {
    let engine = Engine::with_busybox();
    let script = "echo run >>/count; wc -l </count; sleep 1000";
    engine
        .docker(&[
            "run", "-d", "--name", "again", "busybox", "sh", "-c", script,
        ])
        .ok();
    wait_for(|| engine.docker(&["logs", "again"]).stdout == "1\n");
    let before = engine.inspect("again", "{{.State.Pid}}");
    engine.docker(&["restart", "-t", "0", "again"]).ok();
    assert_ne!(engine.inspect("again", "{{.State.Pid}}"), before);
    wait_for(|| engine.docker(&["logs", "again"]).stdout == "1\n2\n");
    engine.docker(&["rm", "-f", "again"]).ok();
}

#[test]
fn ps_shows_what_was_asked_for() {
    let engine = Engine::with_busybox();
    engine
        .docker(&[
            "run", "-d", "--name", "up", "-l", "tier=web", "busybox", "sleep", "1000",
        ])
        .ok();
    engine
        .docker(&["run", "--name", "down", "busybox", "sh", "-c", "exit 3"])
        .code(3);
    engine
        .docker(&["create", "--name", "fresh", "busybox"])
        .ok();
    let names = |args: &[&str]| {
        let mut names: Vec<String> = engine
            .docker(&[&["ps", "--format", "{{.Names}}"], args].concat())
            .ok()
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&[]), "up");
    assert_eq!(names(&["-a"]), "down fresh up");
    assert_eq!(names(&["-l"]), "fresh");
    assert_eq!(names(&["-n", "2"]), "down fresh");
    for (filter, expected) in [
        ("label=tier", "up"),
        ("label=tier=web", "up"),
        ("label=tier=db", ""),
        ("name=ow", "down"),
        ("status=created", "fresh"),
        ("status=exited", "down"),
        ("exited=3", "down"),
        ("ancestor=busybox", "down fresh up"),
        ("before=fresh", "down up"),
        ("since=up", "down fresh"),
    ] {
        assert_eq!(names(&["-a", "--filter", filter]), expected, "{filter}");
    }
    engine
        .docker(&["ps", "--filter", "nonsense=1"])
        .code(1)
        .says("invalid filter 'nonsense'");
    let row = engine
        .docker(&[
            "ps",
            "--format",
            "{{.Image}}|{{.Command}}|{{.State}}|{{.Labels}}",
        ])
        .ok()
        .line();
    assert_eq!(row, "busybox|\"sleep 1000\"|running|tier=web");
    engine.docker(&["rm", "-f", "up"]).ok();
}

#[test]
fn prune_takes_the_stopped_ones_only() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "alive", "busybox", "sleep", "1000"])
        .ok();
    let id = engine.docker(&["create", "busybox"]).ok().line();
    let pruned = engine.docker(&["container", "prune", "-f"]).ok();
    assert!(pruned.stdout.contains(&id), "{pruned:?}");
    engine
        .docker(&["ps", "-a", "--format", "{{.Names}}"])
        .ok()
        .prints("alive\n");
    engine.docker(&["rm", "-f", "alive"]).ok();
}

#[test]
fn rm_of_the_daemon_takes_an_automatic_container_away() {
    let engine = Engine::with_busybox();
    let id = engine
        .docker(&["run", "-d", "--rm", "busybox", "sleep", "0.2"])
        .ok()
        .line();
    wait_for(|| {
        engine
            .docker(&["ps", "-aq", "--no-trunc"])
            .ok()
            .stdout
            .is_empty()
    });
    engine
        .docker(&["logs", &id])
        .code(1)
        .says("No such container");
}

#[test]
fn inspect_tells_what_was_configured() {
    let engine = Engine::with_busybox();
    engine
        .docker(&[
            "create", "--name", "told", "-e", "A=1", "-l", "x=y", "-h", "host", "-w", "/tmp",
            "busybox", "echo", "hi there",
        ])
        .ok();
    let told = engine.docker(&["inspect", "told"]).ok().stdout;
    let told: serde_json::Value = serde_json::from_str(&told).expect("inspect prints JSON");
    let told = &told[0];
    assert_eq!(told["Name"], "/told");
    assert_eq!(told["Path"], "echo");
    assert_eq!(told["Args"], serde_json::json!(["hi there"]));
    assert_eq!(told["Config"]["Hostname"], "host");
    assert_eq!(told["Config"]["WorkingDir"], "/tmp");
    assert_eq!(told["Config"]["Labels"]["x"], "y");
    assert_eq!(told["Config"]["Image"], "busybox");
    assert_eq!(told["HostConfig"]["RestartPolicy"]["Name"], "no");
    assert_eq!(told["Image"], engine.inspect("busybox:latest", "{{.Id}}"));
    assert_eq!(told["State"]["Status"], "created");
    for key in [
        "LogPath",
        "Driver",
        "Platform",
        "NetworkSettings",
        "GraphDriver",
        "Mounts",
        "ResolvConfPath",
    ] {
        assert!(told.get(key).is_some(), "{key}");
    }
}

#[test]
fn two_clients_at_once_have_one_winner() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["create", "--name", "raced", "busybox", "sleep", "1000"])
        .ok();
    std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| engine.docker(&["start", "raced"]).code))
            .collect();
        for start in starts {
            assert_eq!(start.join().expect("no panic"), 0);
        }
    });
    assert_eq!(engine.inspect("raced", "{{.State.Running}}"), "true");
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let removals: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| engine.docker(&["rm", "-f", "raced"]).code))
            .collect();
        removals
            .into_iter()
            .map(|removal| removal.join().expect("no panic"))
            .collect()
    });
    assert!(codes.contains(&0), "{codes:?}");
    engine.docker(&["ps", "-aq"]).ok().prints("");
}

/// Clients start a container with `AutoRemove` and wait for it then; here, it may
/// be gone by that time.
#[test]
fn who_waits_a_moment_too_late_is_told_the_end() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let mut api = Api::connect(&engine);
    let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", "exit 3"], "HostConfig": {"AutoRemove": true}});
    let created = api
        .post("/containers/create?name=short", Some(&body))
        .expect(201);
    let created = created.json();
    let id = created["Id"].as_str().expect("an id");
    api.post(&format!("/containers/{id}/start"), None)
        .expect(204);
    wait_for(|| api.get(&format!("/containers/{id}/json")).status == 404);
    for condition in ["", "?condition=removed", "?condition=next-exit"] {
        let told = api.post(&format!("/containers/{id}/wait{condition}"), None);
        assert_eq!(told.expect(200).json()["StatusCode"], 3, "{condition}");
    }
    // A name or a part of the id may be another one's by now.
    api.post("/containers/short/wait", None).expect(404);
    api.post(&format!("/containers/{}/wait", &id[..12]), None)
        .expect(404);
    // One that was removed by somebody is gone.
    engine
        .docker(&["create", "--name", "gone", "busybox", "true"])
        .ok();
    let id = engine.inspect("gone", "{{.Id}}");
    engine.docker(&["rm", "gone"]).ok();
    api.post(&format!("/containers/{id}/wait"), None)
        .expect(404);
}
