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
