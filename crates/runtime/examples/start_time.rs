//! How long a start takes, as a shim makes it: all namespaces, an overlay, the
//! usual mounts, the default seccomp filter; from the call to `execve`.
//!
//! `start_time [COUNT]` needs root and a static `/bin/busybox`.
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::error::Error;
use std::fs;
use std::time::Instant;

use gantry_runtime::oci::Spec;
use gantry_runtime::{CgroupJoin, Launch, Rootfs, Stdio, defaults, seccomp};
use gantry_types::Mount;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(Ok(100), |text| text.parse())?;
    let dir = std::env::temp_dir().join(format!("start-time-{}", std::process::id()));
    let path = |name: &str| dir.join(name);
    for sub in ["l1/bin", "l2/etc", "upper", "work"] {
        fs::create_dir_all(path(sub))?;
    }
    fs::copy("/bin/busybox", path("l1/bin/true"))?;
    let mount = Mount::Overlay {
        lower: vec![path("l2"), path("l1")],
        upper: Some((path("upper"), path("work"))),
    };
    let spec = spec()?;
    let filter = seccomp::default_filter(defaults::capabilities())?;
    let mut times = Vec::new();
    for _ in 0..count {
        let launch = Launch {
            user_namespace: None,
            id: "start-time",
            spec: &spec,
            bundle: &dir,
            rootfs: Rootfs::Mount(&mount),
            scaffold: &[],
            empty_mounts: None,
            scaffold_layer: None,
            network: None,
            seccomp: Some(&filter),
            cgroup: CgroupJoin::Inherit,
            stdio: Stdio::Inherit,
            hold: None,
            preserve_fds: 0,
            new_keyring: true,
            no_pivot: false,
            user: None,
        };
        let begin = Instant::now();
        let launched = launch.spawn()?;
        times.push(begin.elapsed());
        gantry_sys::wait_pidfd(&launched.pidfd, true)?;
    }
    fs::remove_dir_all(&dir)?;
    times.sort();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "starts: {count}, fastest {:?}, median {:?}, p90 {:?}",
        at(0),
        at(50),
        at(90)
    );
    Ok(())
}

/// A spec as engines write it.
fn spec() -> Result<Spec, serde_json::Error> {
    let caps: Vec<_> = defaults::capabilities().names().collect();
    let kinds = ["mount", "network", "uts", "pid", "ipc"];
    let kinds: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    serde_json::from_value(json!({
        "ociVersion": "1.2.0",
        "hostname": "box",
        "process": {
            "cwd": "/", "user": {"uid": 0, "gid": 0}, "args": ["true"], "env": ["PATH=/bin"],
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        },
        "mounts": defaults::mounts(false),
        "linux": {
            "namespaces": kinds,
            "maskedPaths": defaults::masked_paths(),
            "readonlyPaths": defaults::READONLY_PATHS,
        },
    }))
}
