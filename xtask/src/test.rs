//! Running the tests: all of them, or end to end against one engine.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{Failure, cargo, run, say};
use crate::tree;

/// Every test of the workspace, end to end ones included.
pub fn all() -> Result<(), Failure> {
    run(with_tools(cargo().args(["test", "--workspace"])))
}

/// The end-to-end tests against this engine.
pub fn end_to_end(filter: &[&str]) -> Result<(), Failure> {
    run(with_tools(
        cargo()
            .args(["test", "-p", "gantry-e2e", "--test", "e2e", "--"])
            .args(filter),
    ))
}

/// The same scripts against the real Docker, one at a time because they share it;
/// with `record`, its answers become those that every engine is compared with.
pub fn end_to_end_against_docker(filter: &[&str], record: bool) -> Result<(), Failure> {
    let Some(peers) = tree::peers() else {
        say("SKIPPED: the comparison with the real Docker: ../shared/peers is not here");
        return Ok(());
    };
    run(&mut Command::new(peers.join("setup")))?;
    let name = format!("gantry-e2e-{}", std::process::id());
    let socket = format!("/run/peers/{name}.sock");
    let data = format!("/var/tmp/{name}");
    let daemon = Command::new(peers.join("dockerd"))
        .env("PEERS_SOCK", &socket)
        .env("PEERS_DATA", &data)
        .env("PEERS_BRIDGE", "gantrye2e")
        .env("PEERS_CIDR", "10.219.0.1/16")
        .env("PEERS_NETNS", &name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| Failure::new(format!("cannot start the real dockerd: {error}")))?;
    let mut daemon = Peer {
        daemon,
        socket,
        data,
        netns: name,
    };
    daemon.wait_until_ready()?;
    let mut tests = cargo();
    if record {
        tests.env("GANTRY_E2E_RECORD", "1");
    }
    run(with_tools(
        tests
            .env("GANTRY_E2E_DOCKER", &daemon.socket)
            .args([
                "test",
                "-p",
                "gantry-e2e",
                "--test",
                "e2e",
                "--",
                "--test-threads=1",
            ])
            .args(filter),
    ))
}

/// A real dockerd that ends, and takes its data along, when dropped.
struct Peer {
    daemon: Child,
    socket: String,
    data: String,
    netns: String,
}

impl Peer {
    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::os::unix::net::UnixStream::connect(&self.socket).is_err() {
            if let Ok(Some(status)) = self.daemon.try_wait() {
                return Err(Failure::new(format!("the real dockerd ended: {status}")));
            }
            if Instant::now() > deadline {
                return Err(Failure::new(
                    "the real dockerd does not answer after 60 seconds",
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let pidfile = self.socket.replace(".sock", ".pid");
        let pid = std::fs::read_to_string(pidfile).unwrap_or_else(|_| self.daemon.id().to_string());
        let _ = Command::new("kill").arg(pid.trim()).status();
        let _ = self.daemon.wait();
        let _ = Command::new("ip")
            .args(["netns", "del", &self.netns])
            .status();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Puts the tools that `packages` unpacked behind everything else on the `PATH`.
pub fn with_tools(command: &mut Command) -> &mut Command {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env(
        "PATH",
        format!("{path}:{}", tree::target().join("tools/usr/bin").display()),
    )
}
