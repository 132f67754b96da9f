//! What can go wrong with a volume, in Docker's words.

use std::io;
use std::path::PathBuf;

use gantry_types::ErrorKind;

/// A failure of an operation on a volume.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of that name.
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// It cannot be made as it is wanted.
    #[error("create {name}: {why}")]
    Invalid {
        /// The volume that was to be made.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Only `local` is known.
    #[error(
        "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
    )]
    NoDriver {
        /// The volume that was to be made.
        name: String,
        /// The driver that was asked for.
        driver: String,
    },
    /// Somebody uses it.
    #[error("remove {name}: volume is in use - [{}]", users.join(", "))]
    InUse {
        /// The volume.
        name: String,
        /// Who.
        users: Vec<String>,
    },
    /// What an empty volume was to begin with could not be copied.
    #[error(transparent)]
    Copy(#[from] gantry_archive::Error),
    /// The disk refused an operation on a path.
    #[error("volume: {operation} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] gantry_metadata::Error),
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::NoDriver { .. } => ErrorKind::NotFound,
            Self::Invalid { .. } => ErrorKind::InvalidArgument,
            Self::InUse { .. } => ErrorKind::Conflict,
            Self::Copy(error) => error.kind(),
            Self::Disk { .. } => ErrorKind::Internal,
            Self::Metadata(error) => error.kind(),
        }
    }

    /// For `map_err`: an operation on a path that the disk refused.
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
