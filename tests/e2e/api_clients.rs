//! What programs that speak the Engine API by themselves rely on, and the stock
//! client never asks for: cases of moby's own integration tests.

use serde_json::json;

use crate::harness::Engine;
use crate::harness::api::Api;

#[test]
fn a_network_called_by_its_id_is_shown_by_its_name() {
    let engine = Engine::with_busybox();
    let id = engine.docker(&["network", "create", "byid"]).ok().line();
    let run = ["run", "-d", "--name", "box", "--network", &id[..10]];
    engine
        .docker(&[&run[..], &["busybox", "sleep", "1000"]].concat())
        .ok();
    let address = engine.inspect("box", "{{.NetworkSettings.Networks.byid.IPAddress}}");
    assert!(address.contains('.'), "{address}");
    assert_eq!(
        engine.inspect("box", "{{.HostConfig.NetworkMode}}"),
        id[..10]
    );
    engine.docker(&["rm", "-f", "box"]).ok();
    engine.docker(&["network", "rm", "byid"]).ok();
}

#[test]
fn networks_that_a_request_names_replace_the_default_one() {
    let engine = Engine::with_busybox();
    for name in ["one", "two"] {
        engine.docker(&["network", "create", name]).ok();
    }
    let mut api = Api::connect(&engine);
    let request = json!({
        "Image": "busybox",
        "Cmd": ["sleep", "1000"],
        "NetworkingConfig": {"EndpointsConfig": {"one": {}, "two": {}}},
    });
    let refused = api.post("/v1.43/containers/create", Some(&request));
    let text = "Container cannot be created with multiple network endpoints: one, two";
    assert_eq!(
        (refused.status, refused.json()["message"].as_str()),
        (400, Some(text))
    );
    api.post("/v1.44/containers/create?name=box", Some(&request))
        .expect(201);
    api.post("/v1.44/containers/box/start", None).expect(204);
    let seen = engine.inspect(
        "box",
        "{{range $n, $e := .NetworkSettings.Networks}}{{$n}} {{ne $e.IPAddress \"\"}} {{end}}",
    );
    assert_eq!(seen.trim(), "one true two true");
    engine.docker(&["rm", "-f", "box"]).ok();
    engine.docker(&["network", "rm", "one", "two"]).ok();
}

#[test]
fn what_came_later_is_not_told_to_older_clients() {
    let engine = Engine::with_busybox();
    let mut api = Api::connect(&engine);
    let request = json!({"Image": "busybox", "HostConfig": {"Annotations": {"a": "b"}}});
    api.post("/containers/create?name=box", Some(&request))
        .expect(201);
    for (version, told) in [("1.45", false), ("1.46", true)] {
        let list = api
            .get(&format!("/v{version}/containers/json?all=1"))
            .expect(200);
        let annotations = &list.json()[0]["HostConfig"]["Annotations"];
        assert_eq!(annotations.is_object(), told, "{version}: {list:?}");
    }
    for (version, told) in [("1.48", true), ("1.49", false)] {
        let info = api.get(&format!("/v{version}/info")).expect(200).json();
        let expected = &info["RuncCommit"]["Expected"];
        assert_eq!(expected == &info["RuncCommit"]["ID"], told, "{version}");
    }
    engine.docker(&["rm", "box"]).ok();
}

#[test]
fn json_that_is_none_is_told_of_in_gos_words() {
    let engine = Engine::start();
    let mut api = Api::connect(&engine);
    for path in ["/containers/create", "/networks/create", "/volumes/create"] {
        let answer = api.call("POST", path, b"{invalid json").expect(400);
        let text = "invalid JSON: invalid character 'i' looking for beginning of object key string";
        assert!(answer.body.contains(text), "{path}: {answer:?}");
    }
}

#[test]
fn defaults_of_namespaces_and_the_builder_come_from_the_daemon() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let text = r#"{"features": {"buildkit": false}, "default-ipc-mode": "shareable"}"#;
    std::fs::write(file.path(), text).expect("the file is written");
    let path = file.path().to_str().expect("a path in ASCII");
    let flags = ["--config-file", path, "--default-cgroupns-mode", "private"];
    let engine = Engine::start_with(&flags);
    engine.import_busybox();
    engine.docker(&["create", "--name", "box", "busybox"]).ok();
    let modes = engine.inspect(
        "box",
        "{{.HostConfig.IpcMode}} {{.HostConfig.CgroupnsMode}}",
    );
    assert_eq!(modes, "shareable private");
    let ping = Api::connect(&engine).get("/_ping").expect(200);
    assert!(ping.head.contains("builder-version: 1\n"), "{ping:?}");
    engine.docker(&["rm", "box"]).ok();
}
