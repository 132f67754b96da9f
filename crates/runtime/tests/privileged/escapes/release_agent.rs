//! CVE-2022-0492: who can write `release_agent` at the top of an old hierarchy has
//! the kernel run a program on the host. A container gets there by mounting a
//! hierarchy that it is at the top of: with CAP_SYS_ADMIN, or with that of a user
//! namespace of its own.
//!
//! Seen to fail with CAP_SYS_ADMIN added and the seccomp profile taken out of the
//! spec: new hierarchies are mounted, and their `release_agent` is written.

use crate::bundle::Bundle;

/// Tries with what it has, then with a user namespace. What it would write is what
/// is there: nothing happens on a host that lets it.
const ATTEMPT: &str = r#"
attempt() {
    mkdir -p /tmp/top
    for controller in net_prio net_cls perf_event rdma misc memory pids; do
        mount -t cgroup -o $controller none /tmp/top || continue
        echo "MOUNTED $controller"
        { echo >/tmp/top/release_agent; } && echo "WRITTEN $controller"
        umount /tmp/top
    done
}
for file in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent; do
    [ -e "$file" ] && echo "SEEN $file"
done
for file in /sys/fs/cgroup/notify_on_release /sys/fs/cgroup/*/notify_on_release; do
    [ -e "$file" ] && { echo 0 >"$file"; } && echo "WRITTEN $file"
done
attempt
busybox unshare -U -r -m sh -c 'mount -t cgroup -o net_prio none /tmp/top && echo MOUNTED; echo INSIDE'
true"#;

#[test]
fn no_container_names_what_the_host_runs() {
    require!();
    for private in [true, false] {
        let mut bundle = Bundle::new("release-agent");
        if !private {
            let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "cgroup");
        }
        let (code, out, err) = bundle.sh(ATTEMPT);
        assert_eq!((code, out.as_str()), (0, ""), "private: {private}\n{err}");
        assert!(err.contains("mount"), "nothing was tried: {err}");
    }
}
