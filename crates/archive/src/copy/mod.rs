//! Whole trees copied: hard links stay hard links, holes stay holes, and blocks are
//! shared where the file system can.
//!
//! ```text
//! directory ──► names, cut into pieces ──► threads ──► the last piece sets the
//!    ▲                                       │         directory's attributes
//!    └────────── a directory found ──────────┘
//! ```
//!
//! Most of the time goes into the file system's work for each file, and that can be
//! done for several files at a time. Nothing is synced: whoever wants all of a tree
//! or nothing renames it when it is complete.

mod directory;
mod file;
mod pool;

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use crate::error::Error;
pub(crate) use file::copy_extent;
use pool::Pool;

/// What all threads of a copy share.
struct Shared<'t> {
    /// The directory that is filled.
    target: BorrowedFd<'t>,
    /// Whether sharing blocks is worth another try.
    sharing: AtomicBool,
    /// Where files with several names are, by device and inode. Held while the first
    /// of the names is copied.
    links: Mutex<HashMap<(u64, u64), Vec<u8>>>,
    /// Permissions that the kernel takes from new files.
    umask: u32,
    /// Owner of new files.
    owner: (u32, u32),
}

/// Copies everything below `source`, and the attributes of `source` itself,
/// into the empty directory `target`. Sockets are left out.
///
/// # Errors
/// `File`, naming the file.
pub fn copy_tree(source: impl AsFd, target: impl AsFd) -> Result<(), Error> {
    let shared = Shared {
        target: target.as_fd(),
        sharing: AtomicBool::new(true),
        links: Mutex::default(),
        umask: own_umask(),
        owner: (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        ),
    };
    let pool = Pool::new(directory::top(source.as_fd(), target.as_fd())?);
    pool.work(&shared)
}

/// What `umask` says, which cannot be asked without changing it. When it cannot be
/// read, all permissions are set.
fn own_umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let read = line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok());
    read.unwrap_or(0o777)
}
