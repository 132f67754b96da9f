//! The error of path operations: what was tried, on what, and the errno.

use std::path::{Path, PathBuf};

use gantry_types::ErrorKind;
use rustix::io::Errno;

/// A failed operation on a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {}: {errno}", path.display())]
pub struct Error {
    /// The operation, as a verb: "open", "mkdir".
    pub operation: &'static str,
    /// The path as the caller gave it.
    pub path: PathBuf,
    /// What the kernel answered.
    pub errno: Errno,
}

/// The result of a path operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `operation` on `path`.
    pub fn new(operation: &'static str, path: impl AsRef<Path>, errno: Errno) -> Self {
        Self {
            operation,
            path: path.as_ref().to_path_buf(),
            errno,
        }
    }

    /// What kind of failure this is to the layers above.
    pub fn kind(&self) -> ErrorKind {
        match self.errno {
            Errno::NOENT | Errno::NOTDIR => ErrorKind::NotFound,
            Errno::EXIST => ErrorKind::AlreadyExists,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Forbidden,
            Errno::BUSY => ErrorKind::Conflict,
            Errno::INVAL | Errno::NAMETOOLONG | Errno::LOOP | Errno::ISDIR | Errno::XDEV => {
                ErrorKind::InvalidArgument
            }
            Errno::NOSYS | Errno::OPNOTSUPP => ErrorKind::Unsupported,
            _ => ErrorKind::Internal,
        }
    }
}
