//! Client libraries, unmodified: docker-py and testcontainers, dockerode, Compose v1.
//! What their calls come to was recorded with the real Docker.
//!
//! They come from PyPI and npm: `libraries/setup FOLDER` installs them, and
//! `GANTRY_LIBRARIES=FOLDER` says where they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Engine, command, finish, remark};

/// A program below the folder of the libraries, unless it is not there.
fn installed(program: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("GANTRY_LIBRARIES").map(PathBuf::from);
    let found = folder
        .map(|folder| folder.join(program))
        .filter(|path| path.exists());
    if found.is_none() {
        remark("SKIPPED: libraries: they are not installed here (GANTRY_LIBRARIES)");
    }
    found
}

fn script(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libraries");
    folder.join(name).display().to_string()
}

fn prints(engine: &Engine, mut program: Command, expected: &str) {
    let done = finish(program.env("DOCKER_HOST", engine.host()), b"");
    assert_eq!(done.stdout, expected, "{done:#?}");
    engine.docker(&["ps", "-aq"]).ok().prints("");
}

#[test]
fn docker_py_and_testcontainers() {
    let Some(python) = installed("python/bin/python") else {
        return;
    };
    let engine = Engine::with_busybox();
    let program = command(&python.to_string_lossy(), &[&script("docker-py.py")]);
    prints(&engine, program, include_str!("libraries/docker-py.out"));
}

#[test]
fn dockerode() {
    let Some(modules) = installed("node_modules") else {
        return;
    };
    let engine = Engine::with_busybox();
    let folder = engine.dir().display().to_string();
    let mut program = command("node", &[&script("dockerode.js"), &folder]);
    program.env("NODE_PATH", modules);
    prints(&engine, program, include_str!("libraries/dockerode.out"));
}

const APPLICATION: &str = r#"
version: "2.4"
services:
  db:
    image: busybox
    command: sh -c 'sleep 0.3; touch /tmp/ready; exec sleep 1000'
    volumes: ["data:/data"]
    networks: {back: {aliases: [store], ipv4_address: 172.31.9.10}}
    healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 200ms, retries: 50}
    stop_grace_period: 0s
  web:
    image: busybox
    command: httpd -f -p 80 -h /www
    volumes: [".:/www:ro"]
    networks: [front, back]
    ports: ["80"]
    depends_on: {db: {condition: service_healthy}}
    stop_grace_period: 0s
  side: {image: busybox, command: sleep 1000, network_mode: "service:web", volumes_from: ["db:ro"], stop_grace_period: 0s}
networks: {front: {}, back: {ipam: {config: [{subnet: 172.31.9.0/24}]}}}
volumes: {data: {}}
"#;

#[test]
fn compose_v1() {
    let Some(program) = installed("compose-v1/bin/docker-compose") else {
        return;
    };
    let engine = Engine::with_busybox();
    std::fs::write(engine.dir().join("docker-compose.yml"), APPLICATION).expect("a file");
    let compose = |args: &[&str]| {
        let mut compose = command(&program.to_string_lossy(), &["--ansi=never", "-p", "old"]);
        compose.args(args).current_dir(engine.dir());
        finish(compose.env("DOCKER_HOST", engine.host()), b"")
    };
    compose(&["up", "-d"]).ok();
    let fetch = [
        "exec",
        "-T",
        "side",
        "wget",
        "-qO-",
        "http://127.0.0.1/docker-compose.yml",
    ];
    compose(&fetch).ok().prints(APPLICATION);
    let found = compose(&["exec", "-T", "web", "nslookup", "store"])
        .ok()
        .stdout;
    assert!(found.contains("172.31.9.10"), "{found}");
    compose(&["restart", "-t", "0"]).ok();
    compose(&["run", "--rm", "-T", "--no-deps", "web", "echo", "hi"])
        .ok()
        .prints("hi\n");
    assert_eq!(compose(&["ps", "-q"]).ok().stdout.lines().count(), 3);
    compose(&["down", "-v"]).ok();
    engine.docker(&["ps", "-aq"]).ok().prints("");
    engine.docker(&["volume", "ls", "-q"]).ok().prints("");
}
