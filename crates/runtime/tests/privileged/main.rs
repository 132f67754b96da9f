//! Real containers through the command line: busybox in all namespaces.
//!
//! Needs root and `/bin/busybox` (static). Each test has its own bundle, root
//! and cgroup, and cleans up after itself.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[macro_use]
mod bundle;

mod devices;
mod document;
mod escapes;
mod features;
mod hidden;
mod hooks;
mod lifecycle;
mod lifecycle_errors;
mod limits;
mod mount_options;
mod mounts;
mod namespaces;
mod namespaces_joined;
mod process;
mod process_attributes;
mod seccomp;
mod seccomp_listener;
mod sysctl;
