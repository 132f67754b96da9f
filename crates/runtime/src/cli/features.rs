//! `features` and `spec`.

use std::path::Path;

use serde_json::json;

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::{SPEC_VERSION, output};
use crate::capability::NAMES;
use crate::defaults;
use crate::seccomp::{KNOWN_ARCHITECTURES, OPERATORS};

/// Actions of seccomp that can be compiled.
const ACTIONS: [&str; 8] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// `features`: what this runtime can do, in the specification's document.
pub(super) fn features() -> Result<i32> {
    let capabilities: Vec<_> = NAMES.iter().map(|name| format!("CAP_{name}")).collect();
    let mut operators: Vec<_> = OPERATORS.iter().map(ToString::to_string).collect();
    let mut archs: Vec<_> = KNOWN_ARCHITECTURES
        .iter()
        .map(|(a, _)| a.to_string())
        .collect();
    operators.sort();
    archs.sort();
    let flags = [
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_TSYNC",
    ];
    output::print_json(&json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": crate::mount_options::known_names(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
            "seccomp": {
                "enabled": true,
                "actions": ACTIONS,
                "operators": operators,
                "archs": archs,
                "knownFlags": flags,
                "supportedFlags": flags,
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": false}},
        },
    }));
    Ok(0)
}

/// `spec`: writes an example `config.json`, never over another.
pub(super) fn spec(args: Vec<String>) -> Result<i32> {
    let known = &[
        Flag::value("bundle", Some('b')),
        Flag::switch("rootless", None),
    ];
    let args = Arguments::parse(args, known, 0, 0)?;
    let path = Path::new(args.value("bundle").unwrap_or(".")).join("config.json");
    if path.exists() {
        let text = format!("file {} exists. Remove it first", path.display());
        return Err(Error::State(text));
    }
    let ids = args.has("rootless").then(|| {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        (uid.as_raw(), gid.as_raw())
    });
    let spec = defaults::example_spec(ids).map_err(|e| Error::State(e.to_string()))?;
    let text = serde_json::to_string_pretty(&spec).unwrap_or_default();
    std::fs::write(&path, text + "\n").map_err(Error::file("write", &path))?;
    Ok(0)
}
