//! What is mounted in a container: one list, made when it is created and kept in
//! its record. The spec, `inspect`, `ps`, copies into stopped containers and the
//! bookkeeping of volumes all read this list; nobody reads the request again.
//!
//! ```text
//! -v, Binds ──── short ─┐                     volumes-from, VOLUME
//! --mount ────── long ──┼─► request: one list, ───► gather ─────► hold ─► record
//! --tmpfs ──────────────┘   no target twice                   (volumes)
//!
//! at a start                record ─► ready (volumes, images) ─► spec
//! ```

mod copies;
mod gather;
mod hold;
mod images;
mod long;
mod mode;
mod owners;
mod plugged;
mod point;
mod ready;
mod request;
mod shared;
mod short;

pub use copies::VolumeCopyKind;
pub(crate) use hold::Held;
pub(crate) use images::{claimed_snapshots, name_snapshots};
pub(crate) use owners::Owners;
pub(crate) use point::{Below, Bind, Image, MountPoint, Mounted, StepLayers, Tmpfs, Volume};
pub(crate) use ready::FirstMounts;
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
