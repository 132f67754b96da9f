//! `docker logs` and `docker attach`.

use std::process::Stdio;

use crate::harness::{Engine, finish};
use crate::run::wait_for;

#[test]
fn logs_are_complete_and_split_by_stream() {
    let engine = Engine::with_busybox();
    let script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf 'no newline'";
    engine
        .docker(&["run", "--name", "talker", "busybox", "sh", "-c", script])
        .ok();
    let logs = engine.docker(&["logs", "talker"]).ok();
    assert_eq!(logs.stdout, "out 1\nout 2\nout 3\nno newline");
    assert_eq!(logs.stderr, "err 1\nerr 2\nerr 3\n");
}

#[test]
fn tail_timestamps_since_and_until() {
    let engine = Engine::with_busybox();
    engine
        .docker(&[
            "run",
            "--name",
            "lines",
            "busybox",
            "sh",
            "-c",
            "seq 1 5; sleep 1.2; seq 6 9",
        ])
        .ok();
    engine
        .docker(&["logs", "--tail", "2", "lines"])
        .ok()
        .prints("8\n9\n");
    engine
        .docker(&["logs", "--tail", "0", "lines"])
        .ok()
        .prints("");
    engine
        .docker(&["logs", "-n", "all", "lines"])
        .ok()
        .prints("1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    let stamped = engine.docker(&["logs", "-t", "lines"]).ok().stdout;
    let stamps: Vec<&str> = stamped
        .lines()
        .map(|line| line.split_once(' ').expect("a time stamp").0)
        .collect();
    assert!(
        stamps
            .iter()
            .all(|stamp| stamp.ends_with('Z') && stamp.contains('T')),
        "{stamped}"
    );
    engine
        .docker(&["logs", "--since", stamps[5], "lines"])
        .ok()
        .prints("6\n7\n8\n9\n");
    engine
        .docker(&["logs", "--until", stamps[4], "lines"])
        .ok()
        .prints("1\n2\n3\n4\n5\n");
}

#[test]
fn follow_ends_with_the_container() {
    let engine = Engine::with_busybox();
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "slow",
            "busybox",
            "sh",
            "-c",
            "for i in 1 2 3; do echo $i; sleep 0.3; done",
        ])
        .ok();
    engine
        .docker(&["logs", "-f", "slow"])
        .ok()
        .prints("1\n2\n3\n");
}

#[test]
fn a_very_long_line_is_not_split() {
    let engine = Engine::with_busybox();
    let script = "head -c 100000 /dev/zero | tr '\\0' x; echo";
    engine
        .docker(&["run", "--name", "long", "busybox", "sh", "-c", script])
        .ok();
    let logs = engine.docker(&["logs", "long"]).ok().stdout;
    assert!(
        logs == format!("{}\n", "x".repeat(100_000)),
        "{} bytes",
        logs.len()
    );
}

#[test]
fn logs_of_nothing_are_an_error() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["logs", "nobody"])
        .code(1)
        .says("No such container: nobody");
    engine
        .docker(&[
            "run",
            "--name",
            "quiet",
            "--log-driver",
            "none",
            "busybox",
            "echo",
            "x",
        ])
        .ok();
    engine
        .docker(&["logs", "quiet"])
        .code(1)
        .says("configured logging driver does not support reading");
}

#[test]
fn attach_sees_what_comes_and_the_exit_code() {
    let engine = Engine::with_busybox();
    let script = "read line; sleep 0.3; echo got $line; sleep 0.3; exit 5";
    engine
        .docker(&[
            "run", "-d", "-i", "--name", "listener", "busybox", "sh", "-c", script,
        ])
        .ok();
    // The real Docker ends the output together with the input, so the input stays open.
    let text = format!(
        "(echo hello; sleep 2) | docker -H {} attach listener",
        engine.host()
    );
    finish(&mut crate::harness::script(&text), b"")
        .code(5)
        .prints("got hello\n");
    engine
        .docker(&["attach", "listener"])
        .code(1)
        .says("cannot attach to a stopped container, start it first");
}

#[test]
fn a_client_that_goes_away_does_not_end_the_container() {
    let engine = Engine::with_busybox();
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "stays",
            "busybox",
            "sh",
            "-c",
            "while :; do echo tick; sleep 0.05; done",
        ])
        .ok();
    let mut client = engine
        .docker_command(&["attach", "--sig-proxy=false", "stays"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a client");
    std::thread::sleep(std::time::Duration::from_millis(300));
    client.kill().expect("the client can be killed");
    client.wait().expect("the client ends");
    assert_eq!(engine.inspect("stays", "{{.State.Running}}"), "true");
    let before = engine.docker(&["logs", "stays"]).ok().stdout.len();
    wait_for(|| engine.docker(&["logs", "stays"]).ok().stdout.len() > before);
    engine.docker(&["rm", "-f", "stays"]).ok();
}

#[test]
fn a_client_that_does_not_read_blocks_nobody() {
    let engine = Engine::with_busybox();
    let script =
        "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done";
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "chatty",
            "--log-opt",
            "max-size=1m",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .ok();
    // A pipe that nobody reads: the client stops reading once it is full.
    let mut client = engine
        .docker_command(&["attach", "--sig-proxy=false", "chatty"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a client");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let pid = engine.inspect("chatty", "{{.State.Pid}}");
    let written = || {
        let io =
            std::fs::read_to_string(format!("/proc/{pid}/io")).expect("the process's counters");
        io.lines()
            .find_map(|line| line.strip_prefix("wchar: "))
            .expect("wchar")
            .parse::<u64>()
            .expect("a number")
    };
    let before = written();
    if engine.is_gantry() {
        wait_for(|| written() > before + 1_000_000);
    }
    client.kill().expect("the client can be killed");
    client.wait().expect("the client ends");
    engine.docker(&["rm", "-f", "chatty"]).ok();
}
