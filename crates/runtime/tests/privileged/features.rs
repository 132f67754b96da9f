//! What the runtime says of itself is true.

use serde_json::{Value, json};

use crate::bundle::Bundle;

fn features(bundle: &Bundle) -> Value {
    serde_json::from_slice(&bundle.call(&["features"]).stdout).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_versions_are_taken() {
    require!();
    let mut bundle = Bundle::new("minmax");
    let features = features(&bundle);
    let (least, most) = (&features["ociVersionMin"], &features["ociVersionMax"]);
    assert!(least.as_str() <= most.as_str());
    for version in [least, most] {
        bundle.set("/ociVersion", version.clone());
        assert_eq!(bundle.run(&["true"]).0, 0, "{version}");
    }
}

#[test]
fn all_hooks_namespaces_and_mount_options_are_known() {
    require!();
    let mut bundle = Bundle::new("known");
    let features = features(&bundle);
    for hook in texts(&features["hooks"]) {
        bundle.set("/hooks", json!({hook: []}));
        assert_eq!(bundle.run(&["true"]).0, 0);
    }
    let namespaces = texts(&features["linux"]["namespaces"]);
    for kind in [
        "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time",
    ] {
        assert!(namespaces.iter().any(|known| known == kind), "{kind}");
    }
    let options = texts(&features["mountOptions"]);
    for option in [
        "async",
        "atime",
        "bind",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "iversion",
        "lazytime",
        "loud",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "noiversion",
        "nolazytime",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "private",
        "rbind",
        "relatime",
        "remount",
        "ro",
        "rprivate",
        "rshared",
        "rslave",
        "runbindable",
        "rw",
        "shared",
        "silent",
        "slave",
        "strictatime",
        "suid",
        "sync",
        "unbindable",
        "idmap",
        "ridmap",
    ] {
        assert!(options.iter().any(|known| known == option), "{option}");
    }
}

#[test]
fn the_seccomp_words_are_compiled() {
    require!();
    let mut bundle = Bundle::new("words");
    let known = features(&bundle)["linux"]["seccomp"].clone();
    let actions = texts(&known["actions"]);
    assert!(actions.contains(&"SCMP_ACT_ERRNO".to_owned()));
    for action in actions.iter().filter(|action| *action != "SCMP_ACT_NOTIFY") {
        for operator in texts(&known["operators"]) {
            let argument = json!({"index": 0, "value": 77, "op": operator});
            let rule = json!({"names": ["personality"], "action": action, "args": [argument]});
            let filter = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": known["archs"],
                "flags": known["supportedFlags"],
                "syscalls": [rule],
            });
            bundle.set("/linux/seccomp", filter);
            let (code, _, err) = bundle.run(&["true"]);
            assert_eq!(code, 0, "{action} {operator}: {err}");
        }
    }
}

#[test]
fn an_example_is_written_once_and_runs() {
    require!();
    let bundle = Bundle::new("example");
    assert!(bundle.quietly(&["spec"]));
    let again = bundle.call(&["spec"]);
    let err = String::from_utf8(again.stderr).unwrap();
    assert!(
        err.contains("file config.json exists. Remove it first"),
        "{err}"
    );
    let path = bundle.dir.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut spec: Value = serde_json::from_str(&text).unwrap();
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["true"]);
    spec["linux"]["cgroupsPath"] = json!(format!("/gantry-runtime-test-{}", bundle.id));
    std::fs::write(&path, spec.to_string()).unwrap();
    let output = bundle.call(&["run", &bundle.id]);
    assert!(output.status.success(), "{output:?}");
    std::fs::remove_file(&path).unwrap();
    assert!(bundle.quietly(&["spec", "--rootless"]));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"user\"") && text.contains("uidMappings"));
}
