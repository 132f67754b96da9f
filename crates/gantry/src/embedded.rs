//! The programs inside this binary; `build.rs` makes them.

/// The program that watches over one container.
pub(crate) static SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gantry-shim"));

/// The only file of the image `gantry/hello`.
pub(crate) static HELLO: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gantry-hello"));
