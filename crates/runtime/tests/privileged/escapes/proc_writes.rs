//! CVE-2025-52881: what the runtime writes to `/proc` (kernel parameters, labels,
//! the out-of-memory score) goes to files that the container put there.
//!
//! Seen to fail with `attributes::before_mounts` and `oom_and_label` called after
//! the pivot.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn writes_to_proc_go_to_the_real_one() {
    require!();
    let mut bundle = Bundle::new("proc-writes");
    let decoy = bundle.rootfs().join("proc");
    let files = [
        "self/oom_score_adj",
        "self/attr/exec",
        "self/attr/apparmor/exec",
        "sys/net/ipv4/ip_unprivileged_port_start",
    ];
    for file in files {
        let path = decoy.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    for mount in bundle.spec["mounts"].as_array_mut().unwrap() {
        if mount["destination"] == "/proc" {
            mount["destination"] = json!("/real");
        }
    }
    bundle.set("/linux/readonlyPaths", json!([]));
    bundle.set("/linux/maskedPaths", json!([]));
    bundle.set(
        "/linux/sysctl",
        json!({"net.ipv4.ip_unprivileged_port_start": "77"}),
    );
    bundle.set("/process/oomScoreAdj", json!(321));
    let (code, out, err) =
        bundle.sh("cat /real/self/oom_score_adj /real/sys/net/ipv4/ip_unprivileged_port_start");
    assert_eq!((code, out.as_str()), (0, "321\n77\n"), "{err}");
    for file in files {
        assert_eq!(fs::read(decoy.join(file)).unwrap(), b"", "{file}");
    }
}
