//! Operations on containers that are in another state, or not there.

use serde_json::{Value, json};

use crate::bundle::{Bundle, wait_for};

#[test]
fn operations_need_the_id_of_a_container() {
    require!();
    let bundle = Bundle::new("noid");
    for command in [
        "create", "start", "state", "kill", "delete", "exec", "pause",
    ] {
        let output = bundle.call(&[command]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(out.starts_with("Incorrect Usage."), "{out}");
        if command != "create" {
            let output = bundle.call(&[command, "nosuch", "TERM"]);
            assert_ne!(output.status.code(), Some(0), "{command}");
        }
    }
    let nobody = bundle.call(&["state", "nosuch"]);
    let err = String::from_utf8(nobody.stderr).unwrap();
    assert!(err.contains("container does not exist"), "{err}");
}

#[test]
fn an_id_that_is_taken_or_wrong_makes_no_container() {
    require!();
    let mut bundle = Bundle::new("taken");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["create", &id]));
    let output = bundle.call(&["create", &id]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("container with given ID already exists"),
        "{err}"
    );
    assert_eq!(bundle.state(), "created");
    for wrong in ["", "..", "a/b", "a b", "ä"] {
        assert!(!bundle.quietly(&["create", wrong]), "{wrong:?}");
    }
    let list = bundle.call(&["list", "-q"]).stdout;
    assert_eq!(String::from_utf8(list).unwrap(), format!("{id}\n"));
}

#[test]
fn a_container_is_started_once() {
    require!();
    let mut bundle = Bundle::new("once");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["create", &id]));
    assert!(bundle.quietly(&["start", &id]));
    assert!(!bundle.quietly(&["start", &id]));
    // One that runs is not deleted, and runs on.
    assert!(!bundle.quietly(&["delete", &id]));
    assert_eq!(bundle.state(), "running");
    assert!(bundle.quietly(&["kill", &id, "KILL"]));
    wait_for(|| bundle.state() == "stopped");
    assert!(!bundle.quietly(&["start", &id]));
    assert!(!bundle.quietly(&["kill", &id, "TERM"]));
    assert!(!bundle.quietly(&["exec", &id, "true"]));
    assert!(bundle.quietly(&["delete", &id]));
    assert!(!bundle.quietly(&["delete", &id]));
    // Its id is free again.
    assert!(bundle.quietly(&["create", &id]));
}

#[test]
fn the_state_says_what_the_specification_wants() {
    require!();
    let mut bundle = Bundle::new("statedoc");
    bundle.set("/annotations", json!({"a.b": "c"}));
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["create", &id]));
    let state =
        || -> Value { serde_json::from_slice(&bundle.call(&["state", &id]).stdout).unwrap() };
    let created = state();
    assert_eq!(created["ociVersion"], "1.2.0");
    assert_eq!(created["id"], json!(id));
    assert_eq!(created["status"], "created");
    assert_eq!(created["annotations"], json!({"a.b": "c"}));
    assert_eq!(
        created["bundle"],
        json!(bundle.dir.path().canonicalize().unwrap())
    );
    let pid = created["pid"].as_i64().unwrap();
    // The program has not been run: it is still the runtime's own process.
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_ne!(comm.trim(), "sleep");
    assert!(bundle.quietly(&["start", &id]));
    assert_eq!(
        (state()["status"].as_str(), state()["pid"].as_i64()),
        (Some("running"), Some(pid))
    );
    let comm = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    wait_for(|| comm().trim() == "sleep");
    assert!(bundle.quietly(&["kill", &id, "KILL"]));
    wait_for(|| state()["status"] == "stopped");
}

#[test]
fn a_failed_create_leaves_nothing() {
    require!();
    let mut bundle = Bundle::new("failed");
    bundle.add_mount(
        json!({"destination": "/x", "type": "bind", "source": "/nosuch/x", "options": ["bind"]}),
    );
    let (code, _, _) = bundle.run(&["true"]);
    assert_eq!(code, 1);
    assert!(!bundle.dir.path().join("run").join(&bundle.id).exists());
    for hierarchy in ["pids", "memory", "unified", "."] {
        let group = format!(
            "/sys/fs/cgroup/{hierarchy}/gantry-runtime-test-{}",
            bundle.id
        );
        assert!(!std::path::Path::new(&group).exists(), "{group}");
    }
}

#[test]
fn a_created_container_can_be_told_to_end() {
    require!();
    for signal in ["TERM", "INT", "KILL"] {
        let mut bundle = Bundle::new("ended");
        bundle.write(&["sleep", "60"]);
        let id = bundle.id.clone();
        assert!(bundle.quietly(&["create", &id]));
        assert!(bundle.quietly(&["kill", &id, signal]));
        wait_for(|| bundle.state() == "stopped");
        assert!(bundle.quietly(&["delete", &id]));
    }
}

#[test]
fn saving_and_restoring_are_refused_by_name() {
    require!();
    let bundle = Bundle::new("save");
    for command in ["checkpoint", "restore"] {
        let output = bundle.call(&[command, "--image-path", "x", &bundle.id]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            err.contains(&format!("{command} is not supported")),
            "{err}"
        );
    }
}

#[test]
fn unknown_commands_and_options_are_named() {
    require!();
    let bundle = Bundle::new("usage");
    let output = bundle.call(&["nosuch"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("No help topic for 'nosuch'")
    );
    let output = bundle.call(&["create", "--nosuch", "x"]);
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("flag provided but not defined: -nosuch"),
        "{err}"
    );
    for command in ["create", "exec", "update", "ps", "checkpoint", "features"] {
        let output = bundle.call(&[command, "--help"]);
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(out.starts_with("NAME:\n"), "{out}");
    }
}
