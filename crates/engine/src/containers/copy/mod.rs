//! `cp`: files of a container as archives, out of it and into it.
//!
//! ```text
//! path    what a path means by its words (a trailing slash, `/.`)
//! out     what a path is, and an archive of it
//! into    an archive unpacked into a directory
//! ```
//!
//! Both work on a [`View`](super::view::View): every path is resolved by the kernel
//! below the container's root, in the call that opens it.

mod into;
mod out;
mod path;

pub use into::UnpackQuery;
pub use out::Download;
pub(super) use out::PIECE;

use gantry_sys::Errno;

use crate::error::Error;

/// A failure about a path, told as Docker tells it.
fn failed(operation: &str, path: &str, errno: Errno) -> Error {
    let text = gantry_runtime::errno_text(errno.raw_os_error());
    Error::Failed(format!("{operation} {path}: {text}"))
}

/// What Docker says of a path that is not there.
fn missing(path: &str, container: &str) -> Error {
    Error::NotFound(format!(
        "Could not find the file {path} in container {container}"
    ))
}
