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
