//! What can go wrong with the content store.

use std::io;
use std::path::PathBuf;

use gantry_types::{Digest, ErrorKind};

/// A failed operation on the content store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such blob.
    #[error("content {0} not found")]
    NotFound(Digest),
    /// Somebody else is fetching this blob.
    #[error("content {0} is being fetched already")]
    Busy(Digest),
    /// The bytes are not what they were said to be.
    #[error("unexpected digest {found}, expected {expected}")]
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What the bytes hash to.
        found: Box<Digest>,
    },
    /// There are more or fewer bytes than were said.
    #[error("unexpected size of {digest}: {found} bytes, expected {expected}")]
    WrongSize {
        /// What the bytes hash to.
        digest: Digest,
        /// What was asked for.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The kernel or the disk refused an operation on a file.
    #[error("content store: {operation} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Bytes that were not synced yet when a sync of somebody else failed.
    #[error("content store: the disk has failed while this was written, which may be lost")]
    MayBeLost,
    /// The records could not be read or written.
    #[error(transparent)]
    Metadata(#[from] gantry_metadata::Error),
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Busy(_) => ErrorKind::Conflict,
            Self::WrongDigest { .. } | Self::WrongSize { .. } => ErrorKind::InvalidArgument,
            Self::Disk { .. } | Self::MayBeLost => ErrorKind::Internal,
            Self::Metadata(error) => error.kind(),
        }
    }

    /// For `map_err`: an operation on a path that failed.
    pub(crate) fn disk(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            operation,
            path,
            source,
        }
    }
}
