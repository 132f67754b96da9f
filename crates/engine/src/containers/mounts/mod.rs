//! What is mounted in a container: one list, made when it is created and kept in
//! its record. The spec, `inspect`, `ps`, copies into stopped containers and the
//! bookkeeping of volumes all read this list; nobody reads the request again.
//!
//! ```text
//! -v, Binds ──── short ─┐
//! --mount ────── long ──┼─► request: one list, no target twice ─► record
//! --tmpfs ───────────── ┘
//! ```

mod long;
mod mode;
mod point;
mod request;
mod short;

pub(crate) use point::{Below, Bind, Image, MountPoint, Mounted, Tmpfs, Volume};
pub(crate) use request::{of_old_request, of_request};

/// The path without empty, `.` and `..` parts; symbolic links are not followed.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
