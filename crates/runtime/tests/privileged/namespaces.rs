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
fn binds_need_no_way_for_the_root_of_a_user_namespace() {
    require!();
    let mut bundle = Bundle::new("usernsbind");
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle
        .set("/linux/uidMappings", map.clone())
        .set("/linux/gidMappings", map);
    let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(bundle.dir.path(), mode(0o755)).unwrap();
    std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000)).unwrap();
    // Somebody else's private folder.
    let private = bundle.dir.path().join("private");
    let source = private.join("shared");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), "seen\n").unwrap();
    fs::set_permissions(&private, mode(0o700)).unwrap();
    std::os::unix::fs::chown(&private, Some(7), Some(7)).unwrap();
    for (target, kind) in [("/one", "bind"), ("/many", "rbind")] {
        let options = [kind, "ro"];
        bundle.add_mount(
            json!({"destination": target, "source": &source, "type": "bind", "options": options}),
        );
    }
    let look = "cat /one/file /many/file; touch /one/x /many/x 2>&1 | grep -c Read-only";
    let (code, out, err) = bundle.sh(look);
    assert_eq!((code, out.as_str()), (0, "seen\nseen\n2\n"), "{err}");
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
