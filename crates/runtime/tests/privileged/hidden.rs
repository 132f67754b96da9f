//! Hidden and read-only paths.

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn read_only_and_masked() {
    require!();
    let mut bundle = Bundle::new("ro");
    bundle.set("/root/readonly", json!(true));
    let (_, out, err) = bundle.sh(
        "touch /x; echo 1 > /proc/sys/net/ipv4/ip_forward; cat /proc/keys /proc/timer_list; ls /sys/firmware; touch /dev/shm/ok && echo shm; [ -d /sys/fs/cgroup/pids ] && d=/sys/fs/cgroup/pids || d=/sys/fs/cgroup; mkdir $d/x",
    );
    assert_eq!(out, "shm\n");
    assert_eq!(err.matches("Read-only file system").count(), 3, "{err}");
}

#[test]
fn hidden_paths_are_empty_and_read_only_paths_are_kept() {
    require!();
    let mut bundle = Bundle::new("hide");
    std::fs::write(bundle.rootfs().join("etc/secret"), "x").unwrap();
    std::fs::write(bundle.rootfs().join("etc/kept"), "y").unwrap();
    std::fs::create_dir_all(bundle.rootfs().join("home/dir/sub")).unwrap();
    bundle.set(
        "/linux/maskedPaths",
        json!(["/etc/secret", "/home/dir", "/nosuch", "/etc/secret/x"]),
    );
    bundle.set(
        "/linux/readonlyPaths",
        json!(["/etc/kept", "/tmp", "/nosuch"]),
    );
    let (_, out, err) = bundle.sh(
        "cat /etc/secret; ls /home/dir; cat /etc/kept; echo z > /etc/kept; touch /tmp/x; touch /home/dir/x",
    );
    assert_eq!(out, "y", "{err}");
    assert_eq!(err.matches("Read-only file system").count(), 3, "{err}");
    for (at, value) in [
        ("/linux/maskedPaths", "etc"),
        ("/linux/readonlyPaths", "./etc"),
    ] {
        let mut bundle = Bundle::new("relative");
        bundle.set(at, json!([value]));
        let (code, _, err) = bundle.run(&["true"]);
        assert!(
            code == 1 && err.contains("is not an absolute path"),
            "{err}"
        );
    }
}
