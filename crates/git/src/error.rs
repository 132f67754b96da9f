//! What can go wrong between us and a repository.

use std::io;

use gantry_types::ErrorKind;

/// Short for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a repository.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address, or what is wished of the repository.
    #[error("{0}")]
    Invalid(String),
    /// Git can do it, and this is not git.
    #[error("{0}")]
    Unsupported(String),
    /// What is named is not in the repository.
    #[error("{0}")]
    NotFound(String),
    /// The commit is another one.
    #[error("expected checksum to match {expected}, got {found}")]
    Checksum {
        /// What was asked for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The server has told what is wrong.
    #[error("{remote}: {text}")]
    Remote {
        /// Which repository.
        remote: String,
        /// Its words.
        text: String,
    },
    /// What came is not what the format allows.
    #[error("a damaged answer of a git server: {0}")]
    Damaged(String),
    /// The connection, or the request.
    #[error(transparent)]
    Request(#[from] gantry_registry::Error),
    /// A file.
    #[error("{what}: {source}")]
    Io {
        /// What was done with which.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody does not want it any more.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Checksum { .. } => ErrorKind::InvalidArgument,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Request(error) => error.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Remote { .. } | Self::Damaged(_) | Self::Io { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn damaged(text: impl Into<String>) -> Self {
        Self::Damaged(text.into())
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
