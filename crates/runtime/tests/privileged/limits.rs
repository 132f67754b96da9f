//! Limits: cgroups.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::bundle::Bundle;

#[test]
fn limits_can_be_changed_and_seen() {
    require!();
    let mut bundle = Bundle::new("update");
    bundle.set("/process/args", json!(["sleep", "60"]));
    fs::write(
        bundle.dir.path().join("config.json"),
        bundle.spec.to_string(),
    )
    .unwrap();
    let id = bundle.id.clone();
    let null = || Stdio::null();
    let run = |args: &[&str]| {
        let mut command = bundle.oci(args);
        command.stdout(null()).stderr(null()).status().unwrap()
    };
    assert!(run(&["run", "-d", &id]).success());
    assert!(run(&["update", "--pids-limit", "77", "--memory", "64m", &id]).success());
    assert!(!run(&["update", "--memory", "lots", &id]).success());
    let stats = bundle.call(&["events", "--stats", &id]);
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(
        (&stats["type"], &stats["id"]),
        (&json!("stats"), &json!(id))
    );
    assert_eq!(stats["data"]["pids"]["limit"], 77);
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 64 << 20);
    let document = r#"{"pids":{"limit":88}}"#;
    fs::write(bundle.dir.path().join("limits.json"), document).unwrap();
    assert!(run(&["update", "-r", "limits.json", &id]).success());
    let stats = bundle.call(&["events", "--stats", &id]);
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(stats["data"]["pids"]["limit"], 88);
    assert!(run(&["delete", "-f", &id]).success());
    assert!(!run(&["events", "--stats", &id]).success());
}

/// The first of these files of the container's cgroup that there is.
fn value(bundle: &Bundle, files: &[&str]) -> String {
    let group = format!("gantry-runtime-test-{}", bundle.id);
    let found = files.iter().find_map(|file| {
        let hierarchy = file.split('.').next().unwrap();
        let old = format!("/sys/fs/cgroup/{hierarchy}/{group}/{file}");
        let new = format!("/sys/fs/cgroup/{group}/{file}");
        fs::read_to_string(old)
            .or_else(|_| fs::read_to_string(new))
            .ok()
    });
    found.unwrap_or_default().trim().to_owned()
}

#[test]
fn limits_of_the_document_are_set() {
    require!();
    let mut bundle = Bundle::new("resources");
    bundle.set(
        "/linux/resources",
        json!({
            "memory": {"limit": 67_108_864, "reservation": 33_554_432},
            "cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 44},
        }),
    );
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["run", "-d", &id]));
    let memory = value(&bundle, &["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(memory, "67108864");
    let reservation = value(&bundle, &["memory.soft_limit_in_bytes", "memory.low"]);
    assert_eq!(reservation, "33554432");
    let quota = value(&bundle, &["cpu.cfs_quota_us", "cpu.max"]);
    assert!(quota.starts_with("50000"), "{quota}");
    assert_eq!(value(&bundle, &["cpuset.cpus"]), "0");
    assert_eq!(value(&bundle, &["pids.max"]), "44");
    // Others that are named later; what is not named stays.
    assert!(bundle.quietly(&["update", &id, "--cpu-quota", "70000"]));
    assert!(value(&bundle, &["cpu.cfs_quota_us", "cpu.max"]).starts_with("70000"));
    assert_eq!(value(&bundle, &["pids.max"]), "44");
    let mut update = bundle.oci(&["update", "-r", "-", &id]);
    let mut child = update.stdin(Stdio::piped()).spawn().unwrap();
    let document = br#"{"pids": {"limit": 55}, "devices": [{"allow": true, "access": "rwm"}]}"#;
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), document).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(value(&bundle, &["pids.max"]), "55");
    for bad in [
        &["update", &id, "--l3-cache-schema", "L3:0=f"][..],
        &["update", &id, "--cpu-quota", "much"],
        &["update", &id, "--nosuch", "1"],
        &["update", "nosuch", "--cpu-quota", "1"],
    ] {
        assert!(!bundle.quietly(bad), "{bad:?}");
    }
}

#[test]
fn the_same_path_is_the_same_place() {
    require!();
    let mut bundle = Bundle::new("place");
    let path = format!("gantry-runtime-test-{}/a/b", bundle.id);
    for (wanted, first) in [(format!("/{path}"), true), (path.clone(), false)] {
        bundle.set("/linux/cgroupsPath", json!(wanted));
        let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "cgroup");
        let (_, out, err) = bundle.run(&["cat", "/proc/self/cgroup"]);
        let here = format!(":/{path}");
        assert!(
            out.lines().any(|line| line.ends_with(&here)),
            "{first} {out}{err}"
        );
    }
    for at in [
        "cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer", "systemd",
        "unified", ".",
    ] {
        let parent = format!("/sys/fs/cgroup/{at}/gantry-runtime-test-{}", bundle.id);
        let _ = fs::remove_dir(format!("{parent}/a"));
        let _ = fs::remove_dir(parent);
    }
}

#[test]
fn what_the_machine_does_not_have_is_refused() {
    require!();
    let mut bundle = Bundle::new("nothere");
    bundle.set("/linux/resources", json!({"unified": {"nosuch.file": "1"}}));
    assert_eq!(bundle.run(&["true"]).0, 1);
    let mut bundle = Bundle::new("badpath");
    bundle.set("/linux/cgroupsPath", json!("/a/../../b"));
    assert_eq!(bundle.run(&["true"]).0, 1);
    // What systemd is to make has three parts.
    let mut bundle = Bundle::new("systemdpath");
    bundle.write(&["true"]);
    let id = bundle.id.clone();
    let output = bundle.call(&["--systemd-cgroup", "create", &id]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("expected cgroupsPath to be of format"),
        "{err}"
    );
}

#[test]
fn a_cgroup_with_processes_is_not_taken() {
    require!();
    let mut bundle = Bundle::new("full");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["run", "-d", &id]));
    let other = format!("{id}-other");
    let output = bundle.call(&["create", &other]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("container's cgroup is not empty"), "{err}");
    assert_eq!(bundle.state(), "running");
}

#[test]
fn processes_and_measurements_are_listed() {
    require!();
    let mut bundle = Bundle::new("listed");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["run", "-d", "--pid-file", "pid", &id]));
    let text = |args: &[&str]| String::from_utf8(bundle.call(args).stdout).unwrap();
    let pid = fs::read_to_string(bundle.dir.path().join("pid")).unwrap();
    assert_eq!(text(&["ps", "-f", "json", &id]), format!("[{pid}]\n"));
    let table = text(&["ps", &id]);
    assert!(
        table.starts_with("UID") && table.contains("sleep 60"),
        "{table}"
    );
    let event = text(&["events", "--stats", &id]);
    assert!(
        event.starts_with(&format!(r#"{{"type":"stats","id":"{id}","data":{{"cpu""#)),
        "{event}"
    );
    assert!(!bundle.quietly(&["events", "--interval", "0s", &id]));
    assert!(!bundle.quietly(&["ps", "-f", "xml", &id]));
    let all = text(&["list", "-f", "json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(
        (&all[0]["id"], &all[0]["status"]),
        (&json!(id), &json!("running"))
    );
    assert!(text(&["list"]).starts_with("ID "));
}
