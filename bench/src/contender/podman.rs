//! Podman with crun, its API service in the network namespace of the real Docker.
//! Its commands run in its mount namespace without going through `nsenter` each time.

use std::path::PathBuf;

use super::{Contender, PEERS_NETNS, Plan, owned};
use crate::cpu::CpuGroup;

/// Podman's private storage.
const DATA: &str = "/var/tmp/gantry-bench-podman";

/// Starts it.
pub fn start(peers: &str) -> Result<Contender, String> {
    let socket = PathBuf::from("/run/peers/gantry-bench-podman.sock");
    let group = CpuGroup::make("podman")?;
    let (root, runroot) = (format!("{DATA}/root"), format!("{DATA}/run"));
    let client = [
        &["podman", "--root", &root, "--runroot", &runroot][..],
        &["--cgroup-manager", "cgroupfs"],
    ]
    .concat();
    let (enter, netns) = (
        format!("{peers}/enter"),
        format!("--net=/run/netns/{PEERS_NETNS}"),
    );
    // Its warning would be in front of its errors.
    let quiet = "PODMAN_IGNORE_CGROUPSV1_WARNING=1";
    let inside = ["nsenter", &netns, "--", &enter, "env", quiet];
    let service = format!("unix://{}", socket.display());
    let daemon = [
        &inside,
        &client[..],
        &["system", "service", "--time=0", &service],
    ]
    .concat();
    Plan {
        name: "podman",
        daemon: owned(&daemon),
        environment: Vec::new(),
        client: owned(&client),
        run_flags: owned(&["--cgroup-parent", &group.containers()]),
        inside: owned(&inside),
        pidfile: None,
        remove: vec![PathBuf::from(DATA)],
        socket,
        group,
    }
    .start()
}
