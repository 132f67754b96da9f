//! The bundle's document: its version, what it may hold, and when it is read.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn every_version_of_the_major_one_is_taken() {
    require!();
    for version in ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0+build"] {
        let mut bundle = Bundle::new("version");
        bundle.set("/ociVersion", json!(version));
        let (code, _, err) = bundle.run(&["true"]);
        assert_eq!(code, 0, "{version}: {err}");
    }
    for version in ["", "1", "2.0.0", "0.9.0", "one"] {
        let mut bundle = Bundle::new("badversion");
        bundle.set("/ociVersion", json!(version));
        let (code, _, err) = bundle.run(&["true"]);
        assert!(
            code == 1 && err.contains("unsupported OCI version"),
            "{err}"
        );
    }
}

#[test]
fn unknown_properties_are_passed_over() {
    require!();
    let mut bundle = Bundle::new("unknown");
    bundle.set("/new", json!({"a": [1]}));
    bundle.set("/process/new", json!("x"));
    bundle.set("/linux/new", json!(null));
    bundle.set("/windows", json!({"layerFolders": ["x"]}));
    bundle.set("/annotations", json!({"org.example.unknown": "x"}));
    assert_eq!(bundle.run(&["true"]).0, 0);
}

#[test]
fn values_that_nobody_knows_are_refused() {
    require!();
    let limit = json!([{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]);
    for (at, value) in [
        ("/process/rlimits", limit),
        ("/linux/namespaces/0/type", json!("nosuch")),
        ("/process/scheduler", json!({"policy": "SCHED_NOSUCH"})),
        ("/linux/personality", json!({"domain": "BSD"})),
        ("/linux/rootfsPropagation", json!("nosuch")),
        ("/linux/intelRdt", json!({"closID": "x"})),
        ("/linux/seccomp/defaultAction", json!("SCMP_ACT_NOSUCH")),
        ("/annotations", json!({"": "x"})),
    ] {
        let mut bundle = Bundle::new("invalid");
        bundle.set(at, value);
        let (code, out, _) = bundle.run(&["true"]);
        assert_eq!((code, out.as_str()), (1, ""), "{at}");
        assert!(!bundle.dir.path().join("run").join(&bundle.id).exists());
    }
}

#[test]
fn a_bundle_has_a_document_a_root_and_a_process() {
    require!();
    let bundle = Bundle::new("nodocument");
    let output = bundle.call(&["create", &bundle.id]);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("JSON specification file config.json not found"),
        "{err}"
    );
    let mut bundle = Bundle::new("noroot");
    bundle.set("/root", json!({"path": "nosuch"}));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("invalid rootfs"), "{err}");
    let mut bundle = Bundle::new("noprocess");
    bundle.write(&["true"]);
    bundle.spec.as_object_mut().unwrap().remove("process");
    let path = bundle.dir.path().join("config.json");
    fs::write(path, bundle.spec.to_string()).unwrap();
    assert_eq!(bundle.call(&["create", &bundle.id]).status.code(), Some(1));
    let mut bundle = Bundle::new("noargs");
    assert_eq!(bundle.run(&[]).0, 1);
}

#[test]
fn later_changes_of_the_document_have_no_effect() {
    require!();
    let mut bundle = Bundle::new("frozen");
    bundle.write(&[
        "sh",
        "-c",
        "cat /proc/sys/kernel/hostname > /tmp/out; sleep 60",
    ]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["create", &id]));
    bundle.set("/hostname", json!("other"));
    bundle.set("/process/env", json!(["PATH=/nosuch"]));
    bundle.write(&["sh", "-c", "echo wrong > /tmp/out"]);
    assert!(bundle.quietly(&["start", &id]));
    let out = bundle.rootfs().join("tmp/out");
    crate::bundle::wait_for(|| fs::read_to_string(&out).is_ok_and(|text| text == "box\n"));
    // Nor has it one on further processes.
    assert!(bundle.quietly(&["exec", &id, "true"]));
}
