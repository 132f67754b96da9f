//! Building and running `bench/`.

use std::process::Command;

use crate::run::{Failure, cargo, run as step};
use crate::tree;

/// Builds the release binary and the bench, then runs the bench.
pub fn run(rest: &[&str]) -> Result<(), Failure> {
    step(cargo().args(["build", "--release", "-p", "gantry", "-p", "gantry-bench"]))?;
    let bin = tree::target().join("x86_64-unknown-linux-gnu/release");
    let mut command = Command::new(bin.join("gantry-bench"));
    command.arg(bin.join("gantry")).args(rest);
    if let Some(peers) = tree::peers() {
        command.env("GANTRY_PEERS", peers);
    }
    step(&mut command)
}
