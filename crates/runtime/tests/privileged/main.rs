//! Real containers through the command line: busybox in all namespaces.
//!
//! Needs root and `/bin/busybox` (static). Each test has its own bundle, root
//! and cgroup, and cleans up after itself.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[macro_use]
mod bundle;

mod devices;
mod escapes;
mod hidden;
mod hooks;
mod lifecycle;
mod limits;
mod mounts;
mod namespaces;
mod process;
mod seccomp;
