//! The filter of system calls.

use gantry_runtime::{CapabilityMask, seccomp};
use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn seccomp_denies() {
    require!();
    let (code, out, err) = Bundle::new("deny").sh("mount -t tmpfs x /tmp; echo rc=$?");
    assert!(
        code == 0 && out == "rc=1\n" && err.contains("mount"),
        "{out}{err}"
    );
    // A profile that turns chmod into EXDEV, for a user without privilege too.
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO","errnoRet":18}]}"#;
    let mut bundle = Bundle::new("profile");
    let profile = seccomp::from_profile(profile, CapabilityMask::EMPTY).unwrap();
    bundle.set("/linux/seccomp", json!(profile));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 100}));
    let (_, _, err) = bundle.sh("chmod 700 /tmp");
    assert!(err.contains("Invalid cross-device link"), "{err}");
}

#[test]
fn errors_of_a_filter_are_those_of_the_document() {
    require!();
    let mut bundle = Bundle::new("errno");
    let rule = |action: &str, errno: Option<u32>| {
        let mut rule = json!({"names": ["mkdir", "mkdirat"], "action": action});
        if let Some(errno) = errno {
            rule["errnoRet"] = json!(errno);
        }
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    };
    bundle.set("/linux/seccomp", rule("SCMP_ACT_ERRNO", None));
    let (_, _, err) = bundle.sh("mkdir /tmp/x");
    assert!(err.contains("Operation not permitted"), "{err}");
    bundle.set("/linux/seccomp", rule("SCMP_ACT_ERRNO", Some(18)));
    let (_, _, err) = bundle.sh("mkdir /tmp/x");
    assert!(err.contains("Invalid cross-device link"), "{err}");
    bundle.set("/linux/seccomp", rule("SCMP_ACT_KILL_PROCESS", None));
    let (_, out, _) = bundle.sh("(mkdir /tmp/x); echo $?");
    assert_eq!(out, "159\n");
    // An errno has no meaning with this action.
    bundle.set("/linux/seccomp", rule("SCMP_ACT_ALLOW", Some(18)));
    let (code, _, _) = bundle.sh("true");
    assert_eq!(code, 1);
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_KILL"}]}));
    assert_eq!(bundle.run(&["true"]).0, 1);
}
