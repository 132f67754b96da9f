//! This engine, in a network namespace of its own.

use std::path::PathBuf;

use super::{Contender, Plan, owned};
use crate::cpu::CpuGroup;

/// Starts it.
pub fn start(binary: &str) -> Result<Contender, String> {
    let root = PathBuf::from(format!(
        "/var/tmp/gantry-bench-gantry-{}",
        std::process::id()
    ));
    std::fs::create_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let group = CpuGroup::make("gantry")?;
    let at = |name: &str| root.join(name).display().to_string();
    let host = format!("unix://{}", at("docker.sock"));
    let (data, run, pid) = (at("data"), at("run"), at("pid"));
    let containers = group.containers();
    // A new network namespace has nothing that is up, not even loopback.
    let script = "ip link set lo up && exec \"$0\" \"$@\"";
    let daemon = [
        &["unshare", "--net", "--", "sh", "-c", script][..],
        &[binary, "daemon", "--host", &host],
        &["--data-root", &data, "--exec-root", &run],
        &["--pidfile", &pid, "--log-level", "error"],
        &["--cgroup-parent", &containers],
    ]
    .concat();
    Plan {
        name: "gantry",
        socket: root.join("docker.sock"),
        daemon: owned(&daemon),
        environment: Vec::new(),
        client: owned(&[binary, "-H", &host]),
        run_flags: Vec::new(),
        inside: Vec::new(),
        pidfile: None,
        remove: vec![root],
        group,
    }
    .start()
}
