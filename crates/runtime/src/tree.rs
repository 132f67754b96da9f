//! Copies of mounts, attached nowhere yet: of all that a source has, or of a part.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use gantry_sys::RootDir;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::OpenTreeFlags;

/// A copy of the mount at `source`, with the mounts below it if `recursive`. A
/// `part` of it is found below the source, whatever links are there.
pub(crate) fn copy(
    source: &Path,
    part: Option<&str>,
    recursive: bool,
) -> rustix::io::Result<OwnedFd> {
    let Some(part) = part else {
        return rustix::mount::open_tree(CWD, source, flags(recursive));
    };
    let handle = OFlags::PATH | OFlags::CLOEXEC;
    let whole = rustix::fs::open(source, handle, Mode::empty())?;
    copy_part(whole, part, recursive)
}

/// A copy of a part of what a handle refers to, which is attached somewhere.
pub(crate) fn copy_part(
    whole: OwnedFd,
    part: &str,
    recursive: bool,
) -> rustix::io::Result<OwnedFd> {
    let part = RootDir::from(whole).open_path(part).map_err(|e| e.errno)?;
    let flags = flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(part.as_fd(), "", flags)
}

fn flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    match recursive {
        true => flags | OpenTreeFlags::AT_RECURSIVE,
        false => flags,
    }
}
