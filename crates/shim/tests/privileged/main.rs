//! Real containers in real shims. Needs root and /bin/busybox (static); skips
//! visibly without. Each test has its own exec root and cgroup parent, and
//! looks afterwards that nothing is left in either.
#![allow(clippy::unwrap_used, reason = "a failed test says so")]
#![allow(clippy::print_stderr, reason = "skips and measurements are seen")]

mod crashes;
mod ending;
mod environment;
mod exec;
mod input_output;
mod limits;
mod many;
mod reconnect;
mod weight;
