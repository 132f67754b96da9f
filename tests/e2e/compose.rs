//! Docker Compose v2, unmodified: applications go up, are used, changed and taken
//! down again, as with Docker. The same scripts pass there (`--against docker`).

mod changes;
mod development;
mod example;
mod options;

use std::process::Stdio;

use crate::harness::compose::Project;
use crate::harness::{Engine, Outcome, finish, script};
use crate::run::wait_for;

/// The shape of the example, with nothing but busybox: a database with a volume
/// and a health check, something that runs once, a web server with a secret and
/// a port, and workers.
const APPLICATION: &str = r#"
x-all: &all {image: busybox, stop_grace_period: 1s}
services:
  db:
    <<: *all
    command: sh -c 'trap "exit 0" TERM; sleep 0.2; date +%s >>/data/starts; touch /tmp/ready; while :; do sleep 0.1; done'
    volumes: ["data:/data"]
    networks: {back: {aliases: [store]}}
    healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 100ms, timeout: 5s, retries: 50}
  setup:
    <<: *all
    command: sh -c 'nslookup store >/dev/null && test -s /data/starts && echo made it'
    volumes: ["data:/data:ro"]
    networks: [back]
    depends_on: {db: {condition: service_healthy}}
  web:
    <<: *all
    command: [httpd, -f, -p, "80", -h, /run/secrets]
    init: true
    networks: [front, back]
    ports: ["127.0.0.1::80"]
    secrets: [word]
    depends_on: {setup: {condition: service_completed_successfully}}
  worker:
    <<: *all
    command: [sleep, "100000"]
    init: true
    networks: [back]
    restart: always
    depends_on: {db: {condition: service_healthy}}
    deploy: {replicas: 2}
networks: {front: {}, back: {internal: true}}
volumes: {data: {}}
secrets: {word: {file: ./word.txt}}
"#;

/// Everything that there is of containers, networks and volumes.
pub fn things(engine: &Engine) -> Vec<String> {
    let mut all = Vec::new();
    for list in [
        ["ps", "-aq"].as_slice(),
        &["network", "ls", "-q"],
        &["volume", "ls", "-q"],
    ] {
        all.extend(engine.docker(list).ok().stdout.lines().map(str::to_owned));
    }
    all.sort();
    all
}

/// Waits until `ps` is `expected`.
fn settles(project: &Project, expected: &[&str]) {
    let mut last = Vec::new();
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_secs(20) {
        last = project.ps();
        if last == expected {
            return;
        }
    }
    assert_eq!(last, expected);
}

const UP: [&str; 5] = [
    "db-1 running healthy",
    "setup-1 exited",
    "web-1 running",
    "worker-1 running",
    "worker-2 running",
];

#[test]
fn an_application_goes_up_is_used_scaled_killed_and_down() {
    let engine = Engine::with_busybox();
    let Some(project) = Project::of(&engine, APPLICATION) else {
        return;
    };
    project.write("word.txt", "open sesame\n");
    let before = things(&engine);
    let up = project.docker(&["up", "-d"]).ok();
    let told = up.stderr;
    let at = |words: &str| {
        let line = format!(" Container {}-{words}\n", project.name());
        told.find(&line)
            .unwrap_or_else(|| panic!("{line:?} in {told}"))
    };
    assert!(at("db-1  Healthy") < at("setup-1  Starting"), "{told}");
    assert!(at("setup-1  Exited") < at("web-1  Starting"), "{told}");
    assert_eq!(project.ps(), UP);
    project
        .docker(&["logs", "--no-color", "--no-log-prefix", "setup"])
        .ok()
        .prints("made it\n");
    let fetch = [
        "exec",
        "-T",
        "--index=2",
        "worker",
        "wget",
        "-qO-",
        "http://web/word",
    ];
    project.docker(&fetch).ok().prints("open sesame\n");
    let way_out = ["exec", "-T", "worker", "ip", "route", "get", "10.255.255.1"];
    assert_ne!(project.docker(&way_out).code, 0);
    let port = project.docker(&["port", "web", "80"]).ok().line();
    assert!(port.starts_with("127.0.0.1:"), "{port}");
    if engine.is_gantry() {
        let netns = format!("nsenter --net=/proc/{}/ns/net", engine.pid());
        finish(
            &mut script(&format!("{netns} curl -s http://{port}/word")),
            b"",
        )
        .ok()
        .prints("open sesame\n");
    }

    project
        .gantry(&["up", "-d", "--scale", "worker=4", "--no-recreate"])
        .ok();
    let seen = project.docker(&["exec", "-T", "web", "nslookup", "worker"]);
    assert_eq!(seen.stdout.matches("Name:").count(), 4, "{seen:?}");
    let worker = project.container("worker", 3);
    let pid = engine.inspect(&worker, "{{.State.Pid}}");
    finish(&mut script(&format!("kill -9 {pid}")), b"").ok();
    wait_for(|| engine.inspect(&worker, "{{.RestartCount}} {{.State.Running}}") == "1 true");
    project.docker(&["scale", "worker=1"]).ok();
    project.docker(&["restart", "db"]).ok();
    settles(&project, &UP[..4]);
    let starts = project
        .docker(&["exec", "-T", "db", "cat", "/data/starts"])
        .ok();
    wait_for(|| {
        project
            .docker(&["exec", "-T", "db", "cat", "/data/starts"])
            .ok()
            .stdout
            .lines()
            .count()
            == 2
    });
    assert!(!starts.stdout.is_empty());

    project.docker(&["down"]).ok();
    let volume = format!("{}_data", project.name());
    assert_eq!(things(&engine).len(), before.len() + 1);
    engine.docker(&["volume", "inspect", &volume]).ok();
    project.gantry(&["up", "-d", "--wait", "db", "worker"]).ok();
    project.docker(&["down", "-v"]).ok();
    assert_eq!(things(&engine), before);
}

#[test]
fn its_commands_answer_as_with_docker() {
    let engine = Engine::with_busybox();
    let Some(project) = Project::of(&engine, APPLICATION) else {
        return;
    };
    project.write("word.txt", "open sesame\n");
    let before = things(&engine);
    project.docker(&["up", "-d"]).ok();
    let compose = |args: &[&str]| project.docker(args);
    let json = compose(&["ps", "--format", "json", "web"]).ok().stdout;
    assert!(
        json.contains("\"Service\":\"web\"") && json.contains("\"TargetPort\":80"),
        "{json}"
    );
    compose(&["ps", "--services", "--status=running"])
        .ok()
        .prints("db\nweb\nworker\n");
    let top = compose(&["top", "web"]).ok().stdout;
    assert!(
        top.contains("httpd -f -p 80") && top.starts_with("SERVICE"),
        "{top}"
    );
    let images = compose(&["images"]).ok().stdout;
    assert_eq!(images.matches("busybox").count(), 5, "{images}");
    let listed = compose(&["ls", "--format", "json"]).ok().stdout;
    assert!(listed.contains("\"Status\":\"running(4)\""), "{listed}");
    let volumes = compose(&["volumes", "--format", "{{.Name}}"]).ok();
    volumes.prints(&format!("{}_data\n", project.name()));
    let stats = compose(&["stats", "--no-stream", "--format", "{{.Name}}"])
        .ok()
        .stdout;
    assert_eq!(stats.lines().count(), 4, "{stats}");

    compose(&[
        "exec",
        "-T",
        "-u",
        "1000",
        "-e",
        "A=b",
        "-w",
        "/tmp",
        "db",
        "sh",
        "-c",
        "id -u; echo $A; pwd; exit 4",
    ])
    .code(4)
    .prints("1000\nb\n/tmp\n");
    compose(&["exec", "nosuch", "true"])
        .code(1)
        .says("service \"nosuch\" is not running");
    compose(&[
        "run",
        "--rm",
        "-T",
        "--no-deps",
        "-e",
        "Z=1",
        "setup",
        "sh",
        "-c",
        "echo $Z; exit 5",
    ])
    .code(5)
    .prints("1\n");
    compose(&["cp", "word.txt", "db:/tmp/w"]).ok();
    compose(&["cp", "db:/tmp/w", "back.txt"]).ok();
    compose(&["exec", "-T", "db", "cat", "/tmp/w"])
        .ok()
        .prints("open sesame\n");
    compose(&["pause", "db"]).ok();
    compose(&["ps", "db", "--format", "{{.State}}"])
        .ok()
        .prints("paused\n");
    compose(&["unpause", "db"]).ok();
    compose(&["stop", "-t", "5", "web"]).ok();
    compose(&["start", "web"]).ok();
    compose(&["kill", "-s", "KILL", "web"]).ok();
    settles(
        &project,
        &[
            "db-1 running healthy",
            "setup-1 exited",
            "web-1 exited",
            "worker-1 running",
            "worker-2 running",
        ],
    );
    let out = engine.dir().join("db.tar").display().to_string();
    compose(&["export", "-o", &out, "db"]).ok();
    compose(&["commit", "db", "made:1"]).ok();
    engine.docker(&["rmi", "made:1"]).ok();
    compose(&["rm", "-fs", "worker"]).ok();
    assert_eq!(
        project.ps(),
        ["db-1 running healthy", "setup-1 exited", "web-1 exited"]
    );
    compose(&["create", "worker"]).ok();
    compose(&["down", "-v", "--remove-orphans"]).ok();
    assert_eq!(things(&engine), before);
}

#[test]
fn what_happens_is_followed() {
    let engine = Engine::with_busybox();
    let text = r#"
services:
  loud:
    image: busybox
    command: sh -c 'for i in 1 2 3; do echo line $$i; echo err $$i >&2; done; exec sleep 100000'
    stop_grace_period: 0s
    restart: on-failure
  last: {image: busybox, command: "sh -c 'sleep 1; exit 3'", depends_on: [loud]}
"#;
    let Some(project) = Project::of(&engine, text) else {
        return;
    };
    let before = things(&engine);
    // Attached: everything is shown, and the first that ends ends all.
    let shown = project
        .docker(&["up", "--no-color", "--exit-code-from", "last"])
        .code(3);
    let lines = |outcome: &Outcome, word: &str| outcome.stdout.matches(word).count();
    assert_eq!(
        (
            lines(&shown, "loud-1  | line "),
            shown.stderr.matches("loud-1  | err ").count()
        ),
        (3, 3),
        "{shown:?}"
    );
    assert!(
        shown.stdout.contains("last-1 exited with code 3"),
        "{shown:?}"
    );
    // The first signal stops all, and ends the command well.
    let mut attached = project.command(&["up", "--no-color", "loud"]);
    attached
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let attached = attached.spawn().expect("the client starts");
    settles(&project, &["last-1 exited", "loud-1 running"]);
    wait_for(|| lines(&project.docker(&["logs", "loud"]), "line 3") == 2);
    finish(&mut script(&format!("kill -INT {}", attached.id())), b"").ok();
    let output = attached.wait_with_output().expect("the client ends");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("loud-1  | line 3"), "{shown}");
    settles(&project, &["last-1 exited", "loud-1 exited"]);
    // Events are told while they happen, to the one who waits as well.
    project.docker(&["up", "-d", "loud"]).ok();
    let mut events = project.command(&["events", "--json"]);
    let file = std::fs::File::create(engine.dir().join("events")).expect("a file");
    let mut events = events.stdout(file).spawn().expect("the client starts");
    let told = || std::fs::read_to_string(engine.dir().join("events")).unwrap_or_default();
    wait_for(|| {
        project.docker(&["exec", "-T", "loud", "true"]).ok();
        told().contains("\"exec_die\"")
    });
    let mut waiting = project.command(&["wait", "loud"]);
    let waiting = waiting
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client starts");
    std::thread::sleep(std::time::Duration::from_millis(500));
    project.docker(&["kill", "loud"]).ok();
    let output = waiting.wait_with_output().expect("the client ends");
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    wait_for(|| told().contains("\"action\":\"die\""));
    let _ = events.kill();
    let _ = events.wait();
    project.docker(&["down"]).ok();
    assert_eq!(things(&engine), before);
}
