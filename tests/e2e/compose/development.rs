//! What developers do with Compose: files that follow their changes, replicas, ports
//! that are looked up, images that go to a registry and come back.

use std::process::Stdio;

use super::things;
use crate::harness::Engine;
use crate::harness::compose::Project;
use crate::harness::served::Registry;
use crate::run::wait_for;

const TEXT: &str = r#"
services:
  web:
    image: busybox
    command: [sleep, "100000"]
    stop_grace_period: 0s
    deploy: {replicas: 2}
    ports: ["80"]
    networks: {aa: {priority: 1}, bb: {priority: 1000, gw_priority: 5}}
    develop:
      watch:
        - {action: sync, path: ./src, target: /src}
        - {action: sync+restart, path: ./conf, target: /conf}
networks: {aa: {}, bb: {}}
"#;

#[test]
fn files_are_watched_and_replicas_have_ports() {
    let engine = Engine::with_busybox();
    let Some(project) = Project::of(&engine, TEXT) else {
        return;
    };
    let before = things(&engine);
    for folder in ["src", "conf"] {
        std::fs::create_dir(engine.dir().join("application").join(folder)).expect("a folder");
    }
    project.docker(&["up", "-d"]).ok();
    assert_eq!(project.ps(), ["web-1 running", "web-2 running"]);
    for index in ["1", "2"] {
        let port = project.docker(&["port", "--index", index, "web", "80"]);
        assert!(port.ok().line().starts_with("0.0.0.0:"));
    }
    project
        .docker(&["port", "web", "99"])
        .code(1)
        .says("no port 99/tcp for container");
    let first = project.container("web", 1);
    let priorities = "{{range .NetworkSettings.Networks}}{{.GwPriority}} {{end}}";
    assert_eq!(engine.inspect(&first, priorities), "0 5");

    let mut watch = project.command(&["watch", "--no-up"]);
    let told = engine.dir().join("watched");
    let file = std::fs::File::create(&told).expect("a file");
    let both = file.try_clone().expect("a second handle");
    watch.stdin(Stdio::null()).stdout(file).stderr(both);
    let mut watch = watch.spawn().expect("the client starts");
    let told = || std::fs::read_to_string(&told).unwrap_or_default();
    wait_for(|| told().contains("Watch enabled"));
    project.write("src/a", "one\n");
    let shown = |index: &str, path: &str| {
        let exec = ["exec", "-T", "--index", index, "web", "cat", path];
        project.docker(&exec).stdout
    };
    for index in ["1", "2"] {
        wait_for(|| shown(index, "/src/a") == "one\n");
    }
    let started = || engine.inspect(&first, "{{.State.StartedAt}}");
    let since = started();
    project.write("conf/c", "two\n");
    wait_for(|| started() != since && shown("1", "/conf/c") == "two\n");
    let _ = watch.kill();
    let _ = watch.wait();
    project.docker(&["up", "-d", "--scale", "web=1"]).ok();
    assert_eq!(project.ps(), ["web-1 running"]);
    project.docker(&["down"]).ok();
    assert_eq!(things(&engine), before);
}

#[test]
fn images_are_pushed_and_pulled() {
    let engine = Engine::with_busybox();
    crate::gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let image = registry.name("team/app:1");
    let text = format!(
        "services:\n  app: {{image: \"{image}\", build: ., command: [cat, /made], network_mode: none}}\n"
    );
    let Some(project) = Project::of(&engine, &text) else {
        return;
    };
    engine.docker(&["tag", "busybox", &image]).ok();
    project.docker(&["push", "-q"]).ok();
    engine.docker(&["rmi", &image]).ok();
    project.docker(&["pull"]).ok();
    engine.docker(&["image", "inspect", &image]).ok();
    project.docker(&["pull", "--ignore-buildable"]).ok();
    let missing = text.replace("app:1", "nosuch:1").replace(", build: .", "");
    project.write("compose.yaml", &missing);
    project
        .docker(&["pull"])
        .code(1)
        .says("127.0.0.1:5000/team/nosuch");
    project
        .docker(&["up", "-d", "--pull", "always"])
        .code(1)
        .says("not found");
    project.docker(&["down"]).ok();
}
