//! Devices and the links of `/dev`.

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn devices_and_links_are_there() {
    require!();
    let (_, out, err) = Bundle::new("dev").sh(
        "for d in null zero full random urandom tty; do stat -c '%n %a %t:%T' /dev/$d; done; ls -l /dev/fd /dev/ptmx | grep -o '[^ ]* -> .*'; echo x > /dev/null; echo y > /dev/stdout",
    );
    let expected = "\
/dev/null 666 1:3\n/dev/zero 666 1:5\n/dev/full 666 1:7\n/dev/random 666 1:8\n\
/dev/urandom 666 1:9\n/dev/tty 666 5:0\n/dev/fd -> /proc/self/fd\n/dev/ptmx -> pts/ptmx\ny\n";
    assert_eq!(out, expected, "{err}");
}

#[test]
fn devices_of_the_document_are_made() {
    require!();
    let mut bundle = Bundle::new("devlist");
    bundle.set(
        "/linux/devices",
        json!([
            {"path": "/dev/new/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 7, "gid": 8},
            {"path": "/dev/queue", "type": "p", "fileMode": 0o600},
            {"path": "/dev/loud", "type": "u", "major": 1, "minor": 7},
            {"path": "/dev/block", "type": "b", "major": 7, "minor": 250},
            {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600},
        ]),
    );
    let (_, out, err) = bundle.sh(
        "stat -c '%n %F %a %u:%g %t:%T' /dev/new/zero /dev/queue /dev/loud /dev/block /dev/null",
    );
    let expected = "\
/dev/new/zero character special file 640 7:8 1:5\n\
/dev/queue fifo 600 0:0 0:0\n\
/dev/loud character special file 666 0:0 1:7\n\
/dev/block block special file 666 0:0 7:fa\n\
/dev/null character special file 600 0:0 1:3\n";
    assert_eq!(out, expected, "{err}");
}

#[test]
fn what_stands_in_the_place_of_a_device_must_be_it() {
    require!();
    let mut bundle = Bundle::new("devplace");
    let wanted = json!([{"path": "/etc/passwd", "type": "c", "major": 1, "minor": 5}]);
    bundle.set("/linux/devices", wanted);
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("/etc/passwd"), "{err}");
}

#[test]
fn access_to_devices_is_what_the_rules_say() {
    require!();
    let mut bundle = Bundle::new("devrules");
    bundle.set(
        "/linux/devices",
        json!([{"path": "/dev/loop9", "type": "b", "major": 7, "minor": 249}]),
    );
    bundle.set(
        "/linux/resources",
        json!({"devices": [
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        ]}),
    );
    // Those that every container has are there whatever the rules say.
    let (_, out, err) = bundle.sh(
        "busybox head -c 1 /dev/zero | busybox wc -c; echo x > /dev/null && echo null; busybox head -c 1 /dev/loop9",
    );
    assert_eq!(out, "1\nnull\n", "{err}");
    assert!(err.contains("Operation not permitted"), "{err}");
    // A later rule counts more than an earlier one.
    let rule = |allow: bool| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": "rwm"});
    for (rules, allowed) in [
        ([rule(true), rule(false)], false),
        ([rule(false), rule(true)], true),
    ] {
        let mut bundle = Bundle::new("devorder");
        bundle.set(
            "/linux/devices",
            json!([{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]),
        );
        let mut list = vec![json!({"allow": false, "access": "rwm"})];
        list.extend(rules);
        bundle.set("/linux/resources", json!({"devices": list}));
        bundle.set("/linux/seccomp", json!(null));
        let (_, _, err) = bundle.sh(": > /dev/kmsg");
        assert_eq!(!err.contains("Operation not permitted"), allowed, "{err}");
    }
}

#[test]
fn a_read_only_dev_has_its_devices() {
    require!();
    let mut bundle = Bundle::new("devro");
    let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
    let dev = mounts
        .iter_mut()
        .find(|m| m["destination"] == "/dev")
        .unwrap();
    dev["options"].as_array_mut().unwrap().push(json!("ro"));
    let (_, out, err) = bundle.sh("stat -c %t:%T /dev/null; touch /dev/x");
    assert_eq!(out, "1:3\n");
    assert!(err.contains("Read-only"), "{err}");
}
