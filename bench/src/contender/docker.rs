//! The real Docker, in a network namespace that it shares with Podman.

use std::path::PathBuf;

use super::{Contender, PEERS_NETNS, Plan, owned};
use crate::cpu::CpuGroup;

/// Starts it.
pub fn start(peers: &str) -> Result<Contender, String> {
    let socket = PathBuf::from("/run/peers/gantry-bench.sock");
    let data = PathBuf::from("/var/tmp/gantry-bench-docker");
    let group = CpuGroup::make("docker")?;
    let dockerd = format!("{peers}/dockerd");
    let host = format!("unix://{}", socket.display());
    Plan {
        name: "docker",
        daemon: owned(&[&dockerd, "--cgroup-parent", &group.containers()]),
        environment: vec![
            ("PEERS_SOCK", socket.display().to_string()),
            ("PEERS_DATA", data.display().to_string()),
            ("PEERS_BRIDGE", "gantrybench".to_owned()),
            ("PEERS_CIDR", "10.218.0.1/16".to_owned()),
            ("PEERS_NETNS", PEERS_NETNS.to_owned()),
        ],
        client: owned(&["docker", "-H", &host]),
        run_flags: Vec::new(),
        inside: Vec::new(),
        pidfile: Some(socket.with_extension("pid")),
        remove: vec![data],
        socket,
        group,
    }
    .start()
}
