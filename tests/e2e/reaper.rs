//! A container that cleans up after tests, as testcontainers' Ryuk does: it has the
//! engine's socket, is told by its port which labels are meant, and when the connection
//! ends it removes all that has them. What is in it besides is our client.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::harness::{Engine, gantry_binary};
use crate::run::wait_for;

/// Takes one connection: a line with the label, then nothing until its end.
const LISTEN: &str = "read label; echo ACK; echo \"$label\" >/label; cat >/dev/null";
/// What it does then, and meanwhile.
const REAP: &str = r#"
export DOCKER_HOST=unix:///var/run/docker.sock
docker events --filter type=container --filter label=session=e2e --format '{{.Action}} {{.Actor.Attributes.name}}' >/events &
until nc -l -p 8080 -e /bin/sh -c "$0"; do :; done
l=$(cat /label)
docker rm -fv $(docker ps -aq --filter "$l") >/dev/null
docker network rm $(docker network ls -q --filter "$l") >/dev/null
docker volume rm $(docker volume ls -q --filter "$l") >/dev/null
docker image prune -af --filter "$l" >/dev/null
until grep -q '^destroy one$' /events && grep -q '^destroy two$' /events; do sleep 0.1; done
sort -u /events | grep -E '^(create|start|die|destroy) '
"#;

#[test]
fn what_has_a_label_goes_when_the_connection_ends() {
    let engine = Engine::with_busybox();
    let socket = engine.host().replace("unix://", "");
    let client = format!("{}:/bin/docker:ro", gantry_binary().display());
    let volume = format!("{socket}:/var/run/docker.sock");
    let reaper = [
        "run", "-d", "--name", "reaper", "-v", &volume, "-v", &client, "-p", "8080", "busybox",
        "sh", "-c", REAP, LISTEN,
    ];
    engine.docker(&reaper).ok();
    let port = engine.docker(&["port", "reaper", "8080/tcp"]).ok().stdout;
    let port = port.lines().next().and_then(|line| line.rsplit_once(':'));
    let port = port.expect("a port").1.to_owned();
    let events = ["exec", "reaper", "test", "-e", "/events"];
    wait_for(|| engine.docker(&events).code == 0);

    let mut tests = engine.docker_command(&[
        "run",
        "-i",
        "--rm",
        "--network",
        "host",
        "busybox",
        "sh",
        "-c",
        "until nc 127.0.0.1 $0; do sleep 0.1; done",
        &port,
    ]);
    let mut tests = tests
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut line = tests.stdin.take().expect("its input");
    line.write_all(b"label=session=e2e\n").expect("a line");
    let mut acknowledged = [0; 4];
    let answer = tests.stdout.as_mut().expect("its output");
    answer.read_exact(&mut acknowledged).expect("an answer");
    assert_eq!(&acknowledged, b"ACK\n");

    let label = ["--label", "session=e2e"];
    let make = |words: &[&str]| engine.docker(words).ok();
    make(&[&["network", "create"], &label[..], &["net"]].concat());
    make(&[&["volume", "create"], &label[..], &["data"]].concat());
    let one = [
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "net",
        "-v",
        "data:/data",
        "-v",
        "/own",
    ];
    make(&[&one[..], &label, &["busybox", "sleep", "1000"]].concat());
    let two = ["run", "--name", "two"];
    make(&[&two[..], &label, &["busybox", "true"]].concat());
    make(&[
        "run",
        "-d",
        "--name",
        "stays",
        "--label",
        "session=other",
        "busybox",
        "sleep",
        "1000",
    ]);
    // Filters come in both forms that clients have.
    for filters in [
        r#"{"label":["session=e2e"]}"#,
        r#"{"label":{"session=e2e":true}}"#,
    ] {
        let encoded = format!("filters={filters}");
        let url = "http://d/v1.43/containers/json?all=1";
        let found = engine
            .curl(&["-G", url, "--data-urlencode", &encoded])
            .stdout;
        assert_eq!(found.matches("\"Names\"").count(), 2, "{found}");
    }

    drop(line);
    let _ = tests.wait();
    engine.docker(&["wait", "reaper"]).ok().prints("0\n");
    let told = engine.docker(&["logs", "reaper"]).ok().stdout;
    let expected = [
        "create one",
        "create two",
        "destroy one",
        "destroy two",
        "die one",
        "die two",
        "start one",
        "start two",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    let left = ["ps", "-a", "--format", "{{.Names}}"];
    let mut left: Vec<String> = engine
        .docker(&left)
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    left.sort();
    assert_eq!(left, ["reaper", "stays"]);
    for list in [["network", "ls"], ["volume", "ls"]] {
        let found = [&list[..], &["-q", "--filter", "name=^(net|data)$"]].concat();
        engine.docker(&found).ok().prints("");
    }
    engine.docker(&["rm", "-f", "reaper", "stays"]).ok();
}
