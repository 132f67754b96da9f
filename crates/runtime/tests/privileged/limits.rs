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
