//! The options of `create` and `run`, and the request body they make.
//!
//! Nothing is refused here that the body can carry: what a daemon supports is
//! for the daemon to say.

mod build;
pub(crate) mod devices;
mod env;
pub(crate) mod flags;
mod host_config;
pub(crate) mod limits;
pub(crate) mod mount;
mod networks;
mod ports;
pub(crate) mod units;
mod update;

pub(crate) use build::{Built, build};
pub(crate) use env::{environment, pairs};
pub(crate) use host_config::{OURS, extra_host, size as build_size, ulimits as build_ulimits};
pub(crate) use update::update_body;
