//! What can go wrong with a snapshot, and what it means to the one who asked.

use std::io;
use std::path::PathBuf;

use gantry_types::ErrorKind;

/// A failure of a snapshot operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no snapshot of that key.
    #[error("no such snapshot: {key}")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// A snapshot of that key exists.
    #[error("snapshot {key} exists already")]
    AlreadyExists {
        /// The key asked for.
        key: String,
    },
    /// The snapshot is the parent of others.
    #[error("snapshot {key} is in use by snapshot {child}")]
    HasChildren {
        /// The snapshot to be removed.
        key: String,
        /// One of its children.
        child: String,
    },
    /// The operation needs an active snapshot, and this one is committed.
    #[error("snapshot {key} is committed")]
    NotActive {
        /// The snapshot.
        key: String,
    },
    /// The named parent is still active.
    #[error("snapshot {key} cannot be a parent: it is not committed")]
    NotCommitted {
        /// The parent.
        key: String,
    },
    /// The driver fixes the parent at creation, and another was named at commit.
    #[error("snapshot {key} was not created on top of the parent named at its commit")]
    OtherParent {
        /// The snapshot to be committed.
        key: String,
    },
    /// No driver of that name exists, or none that works here.
    #[error("storage driver {name:?} {reason}")]
    Driver {
        /// The driver's name.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// The kernel or the disk refused an operation on a path.
    #[error("snapshot: {operation} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Copying or removing a tree failed.
    #[error(transparent)]
    Tree(#[from] gantry_archive::Error),
    /// The snapshot is being created, committed or removed by somebody else.
    #[error("snapshot {key} is busy")]
    Busy {
        /// The snapshot.
        key: String,
    },
    /// The records could not be read or written.
    #[error("snapshot records: {0}")]
    Records(#[from] gantry_metadata::Error),
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::HasChildren { .. }
            | Self::NotActive { .. }
            | Self::NotCommitted { .. }
            | Self::Busy { .. } => ErrorKind::Conflict,
            Self::OtherParent { .. } => ErrorKind::InvalidArgument,
            Self::Driver { .. } => ErrorKind::Unsupported,
            Self::Disk { .. } => ErrorKind::Internal,
            Self::Records(error) => error.kind(),
            Self::Tree(error) => error.kind(),
        }
    }

    /// For `map_err`: an operation on a path that the kernel refused.
    pub(crate) fn disk<E: Into<io::Error>>(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            operation,
            path,
            source: source.into(),
        }
    }
}
