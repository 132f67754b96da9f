//! Whether overlayfs works on a file system: by trying it.
//!
//! The trial mount is never attached to any directory; it ends with its file
//! descriptor.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use gantry_archive::Scratch;
use gantry_types::Mount;
use rustix::fs::AtFlags;

use crate::detached;
use crate::directories::make_directory;
use crate::error::Error;

/// Whether overlayfs works below `root`; the inner error is the reason why not.
pub(crate) fn overlay(root: &Path) -> Result<Result<(), String>, Error> {
    make_directory(root)?;
    let path = root.join(format!("probe-{}", std::process::id()));
    // A crash may have left it, and another thread may be at it.
    let scratch = Scratch::new(unique(path));
    make_directory(scratch.path())?;
    Ok(attempt(scratch.path()))
}

fn unique(path: std::path::PathBuf) -> std::path::PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    path.with_extension(NEXT.fetch_add(1, Ordering::Relaxed).to_string())
}

/// Removes a lower file in an overlay: this needs everything that matters
/// (whiteouts, trusted extended attributes, a work directory).
fn attempt(scratch: &Path) -> Result<(), String> {
    let failed = |what: &'static str| move |error| format!("{what}: {error}");
    for name in ["lower", "upper", "work"] {
        make_directory(&scratch.join(name)).map_err(|error| error.to_string())?;
    }
    let io_failed = |error: std::io::Error| error.to_string();
    std::fs::write(scratch.join("lower/file"), "").map_err(io_failed)?;
    let mount = Mount::Overlay {
        lower: vec![scratch.join("lower")],
        upper: Some((scratch.join("upper"), scratch.join("work"))),
    };
    let mounted: OwnedFd = detached::mount(&mount).map_err(failed("mount"))?;
    rustix::fs::unlinkat(&mounted, "file", AtFlags::empty()).map_err(failed("remove a file"))?;
    drop(mounted);
    let whiteout = scratch
        .join("upper/file")
        .symlink_metadata()
        .map_err(io_failed)?;
    if whiteout.file_type().is_char_device() && whiteout.rdev() == 0 {
        Ok(())
    } else {
        Err("a removed file leaves no whiteout".to_owned())
    }
}
