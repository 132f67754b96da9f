//! Namespaces by path, namespaces that are inherited, clocks, names.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;

const KINDS: [(&str, &str); 8] = [
    ("pid", "pid"),
    ("network", "net"),
    ("mount", "mnt"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("user", "user"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

fn without(bundle: &mut Bundle, kinds: &[&str]) {
    let list = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
    list.retain(|n| !kinds.contains(&n["type"].as_str().unwrap()));
}

fn add(bundle: &mut Bundle, namespace: Value) {
    let list = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
    list.push(namespace);
}

/// The identities of a container's namespaces, as links.
fn identities(bundle: &mut Bundle) -> Vec<String> {
    let names: Vec<String> = KINDS
        .iter()
        .map(|(_, file)| format!("/proc/self/ns/{file}"))
        .collect();
    let line = format!("for n in {}; do busybox readlink $n; done", names.join(" "));
    let (code, out, err) = bundle.sh(&line);
    assert_eq!(code, 0, "{err}");
    out.lines().map(str::to_owned).collect()
}

#[test]
fn each_kind_is_new_or_inherited() {
    require!();
    let own = |file: &str| {
        let link = fs::read_link(format!("/proc/self/ns/{file}")).unwrap();
        link.to_string_lossy().into_owned()
    };
    let mut bundle = Bundle::new("new");
    add(&mut bundle, json!({"type": "time"}));
    let inside = identities(&mut bundle);
    for ((kind, file), inside) in KINDS.iter().zip(&inside) {
        assert_eq!(*inside == own(file), *kind == "user", "{kind}");
    }
    let mut bundle = Bundle::new("inherited");
    without(&mut bundle, &["pid", "network", "ipc", "uts", "cgroup"]);
    bundle.spec.as_object_mut().unwrap().remove("hostname");
    let inside = identities(&mut bundle);
    for ((kind, file), inside) in KINDS.iter().zip(&inside) {
        assert_eq!(*inside == own(file), *kind != "mount", "{kind}");
    }
}

#[test]
fn namespaces_of_another_container_are_joined() {
    require!();
    let mut first = Bundle::new("first");
    first.write(&["sleep", "60"]);
    let id = first.id.clone();
    assert!(first.quietly(&["run", "-d", "--pid-file", "pid", &id]));
    let pid = fs::read_to_string(first.dir.path().join("pid")).unwrap();
    let mut second = Bundle::new("second");
    let joined = ["pid", "network", "ipc", "uts"];
    without(&mut second, &joined);
    second.spec.as_object_mut().unwrap().remove("hostname");
    for (kind, file) in KINDS.iter().filter(|(kind, _)| joined.contains(kind)) {
        add(
            &mut second,
            json!({"type": kind, "path": format!("/proc/{pid}/ns/{file}")}),
        );
    }
    let (_, out, err) = second.sh("cat /proc/1/comm /proc/sys/kernel/hostname");
    assert_eq!(out, "sleep\nbox\n", "{err}");
}

#[test]
fn a_path_must_be_of_the_right_kind() {
    require!();
    for path in ["/proc/self/ns/uts", "/etc/passwd", "/nosuch"] {
        let mut bundle = Bundle::new("wrong");
        without(&mut bundle, &["network"]);
        add(&mut bundle, json!({"type": "network", "path": path}));
        assert_eq!(bundle.run(&["true"]).0, 1, "{path}");
    }
    let mut bundle = Bundle::new("double");
    add(&mut bundle, json!({"type": "uts"}));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("given twice"), "{err}");
}

#[test]
fn clocks_of_a_new_time_namespace_are_set() {
    require!();
    let mut bundle = Bundle::new("clocks");
    let offsets = json!({"monotonic": {"secs": 7881, "nanosecs": 1}, "boottime": {"secs": 1337}});
    bundle.set("/linux/timeOffsets", offsets.clone());
    let (code, _, err) = bundle.run(&["true"]);
    assert!(
        code == 1 && err.contains("time namespace isn't enabled"),
        "{err}"
    );
    add(&mut bundle, json!({"type": "time"}));
    let (_, out, err) = bundle.run(&["cat", "/proc/self/timens_offsets"]);
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(
        words,
        ["monotonic", "7881", "1", "boottime", "1337", "0"],
        "{err}"
    );
}

#[test]
fn clocks_can_be_set_in_a_user_namespace() {
    require!();
    let mut bundle = Bundle::new("userclocks");
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle
        .set("/linux/uidMappings", map.clone())
        .set("/linux/gidMappings", map);
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 99}}));
    add(&mut bundle, json!({"type": "user"}));
    add(&mut bundle, json!({"type": "time"}));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bundle.dir.path(), open).unwrap();
    std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000)).unwrap();
    let (_, out, err) =
        bundle.sh("grep -c 'boottime *99' /proc/self/timens_offsets; cat /proc/self/uid_map");
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["1", "0", "100000", "65536"], "{err}");
}

#[test]
fn mappings_need_a_user_namespace() {
    require!();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1}]);
    let mut bundle = Bundle::new("nomap");
    bundle.set("/linux/uidMappings", map);
    let (code, _, err) = bundle.run(&["true"]);
    assert!(
        code == 1 && err.contains("user namespace isn't enabled"),
        "{err}"
    );
    let mut bundle = Bundle::new("nouser");
    add(&mut bundle, json!({"type": "user"}));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("nor mappings"), "{err}");
}

#[test]
fn names_are_the_containers_own() {
    require!();
    let mut bundle = Bundle::new("names");
    bundle.set("/domainname", json!("example.test"));
    let (_, out, err) = bundle.sh("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname");
    assert_eq!(out, "box\nexample.test\n", "{err}");
    for name in ["hostname", "domainname"] {
        let mut bundle = Bundle::new("hostnames");
        without(&mut bundle, &["uts"]);
        bundle.spec.as_object_mut().unwrap().remove("hostname");
        bundle.spec[name] = json!("mine");
        let (code, _, err) = bundle.run(&["true"]);
        let words = format!("unable to set {name} without a private UTS namespace");
        assert!(code == 1 && err.contains(&words), "{err}");
    }
}
