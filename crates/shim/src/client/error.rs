//! What can go wrong between daemon and shim.

use std::io;
use std::path::PathBuf;

use gantry_types::ErrorKind;

use crate::protocol::{FrameError, Refusal, StartFailure};

/// The result of asking a shim.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The container did not start; nothing of it is left.
    #[error("{0}")]
    Start(StartFailure),
    /// The shim said no.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no container, or no shim of it any more.
    #[error("container {0} has no shim")]
    Gone(String),
    /// A shim could not be started.
    #[error("start a shim: {0}")]
    Spawn(#[source] io::Error),
    /// Talking to the shim failed.
    #[error("{operation}: {source}")]
    Connection {
        /// What was tried.
        operation: &'static str,
        /// What happened.
        source: FrameError,
    },
    /// The shim answered something else than was asked.
    #[error("{0}: unexpected answer of the shim")]
    Unexpected(&'static str),
    /// A file or the poll set failed.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.into(),
            source,
        }
    }

    pub(crate) fn connection(operation: &'static str) -> impl FnOnce(FrameError) -> Self {
        move |source| Self::Connection { operation, source }
    }

    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Start(failure) => failure.kind(),
            Self::Refused(Refusal::NotRunning | Refusal::AlreadyStarted | Refusal::Paused) => {
                ErrorKind::Conflict
            }
            Self::Refused(Refusal::NoSuchExec) => ErrorKind::NotFound,
            Self::Refused(Refusal::NoTerminal | Refusal::NoStdin) => ErrorKind::Conflict,
            Self::Gone(_) => ErrorKind::NotFound,
            Self::Refused(Refusal::BadRequest(_) | Refusal::Failed { .. })
            | Self::Spawn(_)
            | Self::Connection { .. }
            | Self::Unexpected(_)
            | Self::Io { .. } => ErrorKind::Internal,
        }
    }
}
