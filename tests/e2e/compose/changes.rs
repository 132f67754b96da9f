//! What was changed is made again, what is not of the file is left alone, and
//! what cannot be is told in Docker's words.

use super::things;
use crate::harness::Engine;
use crate::harness::compose::Project;

const TEXT: &str = r#"
x-all: &all {image: busybox, command: [sleep, "100000"], stop_grace_period: 0s}
services:
  one: {<<: *all, labels: {a: "1"}}
  two: {<<: *all, ports: ["127.0.0.1:18099:80"]}
  debug: {<<: *all, profiles: [debug]}
  outside:
    <<: *all
    profiles: [outside]
    networks: [theirs]
    volumes: ["kept:/kept", "named:/named", "/anonymous"]
  sick: {<<: *all, profiles: [sick], healthcheck: {test: "exit 1", interval: 50ms, retries: 2}}
  needy: {<<: *all, profiles: [sick], depends_on: {sick: {condition: service_healthy}}}
  fails: {<<: *all, profiles: [fails], command: sh -c 'exit 3'}
  after: {<<: *all, profiles: [fails], depends_on: {fails: {condition: service_completed_successfully}}}
  absent: {<<: *all, profiles: [absent], image: "nosuch:image", pull_policy: never}
  taken: {<<: *all, profiles: [taken], ports: ["127.0.0.1:18099:80"]}
  nomount: {<<: *all, profiles: [nomount], volumes: [{type: bind, source: /nonexistent/x, target: /x, bind: {create_host_path: false}}]}
  nocommand: {<<: *all, profiles: [nocommand], command: nosuchcommand}
networks: {theirs: {external: true, name: e2e-theirs}}
volumes: {kept: {external: true, name: e2e-kept}, named: {name: e2e-named}}
"#;

#[test]
fn what_was_changed_is_made_again() {
    let engine = Engine::with_busybox();
    let Some(project) = Project::of(&engine, TEXT) else {
        return;
    };
    let before = things(&engine);
    project.docker(&["up", "-d"]).ok();
    let id = |service: &str| engine.inspect(&project.container(service, 1), "{{.Id}}");
    let first = [id("one"), id("two")];
    project.docker(&["up", "-d"]).ok();
    assert_eq!([id("one"), id("two")], first);
    project.write("compose.yaml", &TEXT.replace("a: \"1\"", "a: \"2\""));
    project.docker(&["up", "-d"]).ok().says("one-1  Recreated");
    assert_ne!(id("one"), first[0]);
    assert_eq!(id("two"), first[1]);
    project
        .docker(&["up", "-d", "--force-recreate", "--no-deps", "two"])
        .ok();
    assert_ne!(id("two"), first[1]);
    project
        .docker(&["--profile", "debug", "up", "-d", "debug"])
        .ok();
    assert_eq!(
        project.ps(),
        ["debug-1 running", "one-1 running", "two-1 running"]
    );

    let shorter: Vec<&str> = TEXT
        .lines()
        .filter(|line| !line.starts_with("  one:"))
        .collect();
    project.write("compose.yaml", &shorter.join("\n"));
    project
        .docker(&["up", "-d"])
        .ok()
        .says("Found orphan containers");
    project.docker(&["up", "-d", "--remove-orphans"]).ok();
    assert_eq!(project.ps(), ["debug-1 running", "two-1 running"]);
    project.docker(&["--profile", "debug", "down"]).ok();
    assert_eq!(things(&engine), before);
}

#[test]
fn what_is_external_stays() {
    let engine = Engine::with_busybox();
    let Some(project) = Project::of(&engine, TEXT) else {
        return;
    };
    let before = things(&engine);
    let up = ["--profile", "outside", "up", "-d", "outside"];
    project
        .docker(&up)
        .code(1)
        .says("network e2e-theirs declared as external, but could not be found");
    engine.docker(&["network", "create", "e2e-theirs"]).ok();
    project
        .docker(&up)
        .code(1)
        .says("external volume \"e2e-kept\" not found");
    engine.docker(&["volume", "create", "e2e-kept"]).ok();
    project.docker(&up).ok();
    let container = project.container("outside", 1);
    let mounts =
        "{{range .Mounts}}{{if ne .Destination \"/anonymous\"}}{{.Name}} {{.Mode}},{{end}}{{end}}";
    let mut mounts: Vec<String> = engine
        .inspect(&container, mounts)
        .split(',')
        .map(str::to_owned)
        .collect();
    mounts.sort();
    assert_eq!(mounts, ["", "e2e-kept rw", "e2e-named rw"]);
    let aliases = "{{json (index .NetworkSettings.Networks \"e2e-theirs\").Aliases}}";
    assert_eq!(
        engine.inspect(&container, aliases),
        format!("[\"{container}\",\"outside\"]")
    );
    project.docker(&["--profile", "outside", "down", "-v"]).ok();
    engine.docker(&["network", "rm", "e2e-theirs"]).ok();
    engine.docker(&["volume", "rm", "e2e-kept"]).ok();
    assert_eq!(things(&engine), before);
}

#[test]
fn what_cannot_be_is_told() {
    let engine = Engine::with_busybox();
    let Some(project) = Project::of(&engine, TEXT) else {
        return;
    };
    let before = things(&engine);
    project.docker(&["up", "-d", "two"]).ok();
    for (profile, words) in [
        ("sick", "is unhealthy"),
        ("fails", "didn't complete successfully: exit 3"),
        ("absent", "No such image: nosuch:image"),
        (
            "taken",
            "Bind for 127.0.0.1:18099 failed: port is already allocated",
        ),
        ("nomount", "bind source path does not exist: /nonexistent/x"),
        ("nocommand", "executable file not found in $PATH"),
    ] {
        project
            .docker(&["--profile", profile, "up", "-d"])
            .code(1)
            .says(words);
    }
    project
        .docker(&["up", "-d", "--wait", "sick"])
        .code(1)
        .says("is unhealthy");
    project.docker(&["--profile", "*", "down"]).ok();
    assert_eq!(things(&engine), before);
}
