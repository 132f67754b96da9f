//! One daemon for each data root and exec root: a locked file that says whose.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The lock file's name.
const NAME: &str = "gantry.lock";

/// A held lock; the kernel releases it with the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock of a directory.
///
/// # Errors
/// When another daemon holds it (the text says its pid), or the file cannot be
/// made.
pub(super) fn take(what: &str, dir: &Path) -> Result<Lock, String> {
    let path = dir.join(NAME);
    let failed = |error: std::io::Error| format!("locking {}: {error}", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            // Without the pid the message is a little less helpful.
            let _ = (&mut file).take(20).read_to_string(&mut pid);
            let dir = dir.display();
            return Err(format!(
                "the {what} {dir} is in use by another gantry daemon (pid {})",
                pid.trim()
            ));
        }
        Err(errno) => return Err(failed(errno.into())),
    }
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "{}", std::process::id()))
        .map_err(failed)?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = take("data root", dir.path()).unwrap();
        let error = take("data root", dir.path()).unwrap_err();
        let pid = std::process::id();
        assert!(
            error.ends_with(&format!("another gantry daemon (pid {pid})")),
            "{error}"
        );
        drop(first);
        take("data root", dir.path()).unwrap();
    }
}
