//! A mount as plain data: what storage hands to the runtime.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One mount, not yet made. Snapshots return these; the runtime makes them by
/// file descriptor (`fsopen`, `fsconfig`, `fsmount`, `move_mount`; see mount(2)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// An overlay of directories. `lower` is ordered top first, as in the
    /// kernel's `lowerdir=`. Without `upper` the mount is read-only.
    Overlay {
        /// Read-only layers, top first; at least one.
        lower: Vec<PathBuf>,
        /// The writable layer, and the empty work directory on the same file system.
        upper: Option<(PathBuf, PathBuf)>,
    },
    /// A directory of the host, bound as it is.
    Bind {
        /// The directory.
        source: PathBuf,
        /// Whether it is mounted read-only.
        read_only: bool,
    },
}
