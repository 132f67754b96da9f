//! What needs root: owners, devices, trusted extended attributes. Everything
//! happens in temporary directories.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod differences;
mod formats;
mod hostile;
mod round_trip;
mod support;
mod whiteouts;
