//! Namespaces and what belongs to them.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn a_container_is_alone() {
    require!();
    let (code, out, err) = Bundle::new("alone")
        .sh("id -u; cat /proc/sys/kernel/hostname; ls -d /proc/[0-9]* ; ls /sys/class/net");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("0\nbox\n/proc/1\n"), "{out}");
    assert!(out.contains("\nlo\n") && !out.contains("eth"), "{out}");
}

#[test]
fn a_user_namespace_has_its_own_root() {
    require!();
    let mut bundle = Bundle::new("userns");
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle
        .set("/linux/uidMappings", map.clone())
        .set("/linux/gidMappings", map);
    bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    bundle.set("/process/oomScoreAdj", json!(100));
    // The mapped root must have a way to the bundle.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bundle.dir.path(), open).unwrap();
    std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000)).unwrap();
    let (code, out, err) = bundle.sh("id -u; cat /proc/self/oom_score_adj; stat -c %u /dev/mqueue; echo x > /dev/null && echo ok");
    assert_eq!((code, out.as_str()), (0, "0\n100\n0\nok\n"), "{err}");
}

#[test]
fn kernel_parameters_of_the_host_are_refused() {
    require!();
    let mut bundle = Bundle::new("sysctl");
    bundle.set(
        "/linux/sysctl",
        json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "4321"}),
    );
    let (_, out, err) = bundle.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax");
    assert_eq!(out, "1\n4321\n", "{err}");
    for key in ["vm.swappiness", "kernel.panic", "net/../vm/swappiness"] {
        let mut bundle = Bundle::new("sysctlbad");
        bundle.set("/linux/sysctl", json!({key: "1"}));
        assert_eq!(bundle.run(&["true"]).0, 1, "{key}");
    }
}
