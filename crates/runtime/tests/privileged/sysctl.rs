//! Kernel parameters: those of the container's namespaces, in both spellings.

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn both_separators_are_understood() {
    require!();
    let mut bundle = Bundle::new("sysctlforms");
    bundle.set(
        "/linux/sysctl",
        json!({
            "kernel.shmmni": "777",
            "fs/mqueue/msg_max": "33",
            "net.ipv4.conf.lo.rp_filter": "2",
            "kernel/domainname": "example",
        }),
    );
    let line = "cd /proc/sys; cat kernel/shmmni fs/mqueue/msg_max net/ipv4/conf/lo/rp_filter kernel/domainname";
    let (_, out, err) = bundle.sh(line);
    assert_eq!(out, "777\n33\n2\nexample\n", "{err}");
}

#[test]
fn what_is_not_the_containers_own_is_refused() {
    require!();
    let refused = |key: &str, inherited: &[&str]| {
        let mut bundle = Bundle::new("sysctlhost");
        let list = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
        list.retain(|n| !inherited.contains(&n["type"].as_str().unwrap()));
        bundle.spec.as_object_mut().unwrap().remove("hostname");
        bundle.set("/linux/sysctl", json!({key: "1"}));
        let (code, _, err) = bundle.run(&["true"]);
        assert_eq!(code, 1, "{key}");
        err
    };
    refused("kernel.msgmax", &["ipc"]);
    refused("fs.mqueue.msg_max", &["ipc"]);
    refused("net.ipv4.ip_forward", &["network"]);
    refused("kernel.domainname", &["uts"]);
    let err = refused("kernel.hostname", &[]);
    assert!(err.contains("conflicts with the OCI"), "{err}");
    // One of the host's is none of the container's, however it is named.
    let mut bundle = Bundle::new("sysctlpath");
    let list = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
    list.retain(|n| n["type"] != "network");
    list.push(json!({"type": "network", "path": "/proc/self/ns/net"}));
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(
        code == 1 && err.contains("not allowed in host network namespace"),
        "{err}"
    );
}
