//! The Debian packages that the tests need, and installing those that are missing.

use std::process::Command;

use crate::run::{Failure, on_path, run, say};
use crate::tree;

/// Program, and the package it comes from.
const NEEDED: [(&str, &str); 5] = [
    ("busybox", "busybox-static"),
    ("mmdebstrap", "mmdebstrap"),
    ("unshare", "util-linux"),
    ("curl", "curl"),
    ("ip", "iproute2"),
];

/// Installs what is missing: nothing, on a machine that has it all.
pub fn install() -> Result<(), Failure> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        run(Command::new("apt-get").args(["update", "-q"]))?;
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(&missing))?;
    }
    install_docker_client()
}

/// Unpacks only the client of Debian's package into the target folder: a
/// Docker daemon has no business being started by a test run of ours.
fn install_docker_client() -> Result<(), Failure> {
    let tools = tree::target().join("tools");
    if on_path("docker") || tools.join("usr/bin/docker").is_file() {
        return Ok(());
    }
    say("no docker client on the PATH: unpacking Debian's");
    std::fs::create_dir_all(&tools)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", tools.display())))?;
    let script = "set -e; apt-get update -q; \
        apt-get download docker-cli || apt-get download docker.io; \
        for package in docker*.deb; do dpkg-deb -x \"$package\" .; done; test -x usr/bin/docker";
    run(Command::new("sh").args(["-c", script]).current_dir(&tools))
}
