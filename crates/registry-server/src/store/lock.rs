//! One process at a time for a root.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Takes the lock; it is given back when the file is closed.
///
/// # Errors
/// When another process has it.
pub(super) fn take(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(format!(
            "{}: another registry uses this root",
            path.display()
        )),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
