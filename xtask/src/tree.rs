//! Where things are in the source tree.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// The scripts that install and start the real Docker and Podman, if this
/// checkout has them beside it (or `GANTRY_PEERS` names the folder).
pub fn peers() -> Option<PathBuf> {
    let dir = match std::env::var_os("GANTRY_PEERS") {
        Some(dir) => PathBuf::from(dir),
        None => root().parent()?.join("shared").join("peers"),
    };
    dir.join("dockerd").is_file().then_some(dir)
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
