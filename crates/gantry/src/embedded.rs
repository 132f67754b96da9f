//! The programs inside this binary; `build.rs` makes them.

/// The program that watches over one container.
pub(crate) static SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gantry-shim"));

/// The first process of containers that ask for one.
pub(crate) static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gantry-init"));

/// The only file of the image `gantry/hello`.
pub(crate) static HELLO: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gantry-hello"));
