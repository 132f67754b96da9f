//! What can go wrong with logs.

use std::io;
use std::path::{Path, PathBuf};

use gantry_types::ErrorKind;

/// The result of a log operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed log operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A driver that Docker has and we have not.
    #[error("log driver {0:?} is not supported")]
    UnsupportedDriver(String),
    /// A driver that nobody has.
    #[error("logger: no log driver named '{0}' is registered")]
    UnknownDriver(String),
    /// An option that Docker has and we have not.
    #[error("log option {option:?} is not supported")]
    UnsupportedOption {
        /// The option.
        option: String,
    },
    /// An option that this driver never had.
    #[error("unknown log opt '{option}' for {driver} log driver")]
    UnknownOption {
        /// The option.
        option: String,
        /// The driver.
        driver: &'static str,
    },
    /// An option with a value that means nothing.
    #[error("invalid value {value:?} for log opt '{option}': {reason}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The driver keeps nothing that could be read.
    #[error("configured logging driver does not support reading")]
    NotReadable,
    /// A file operation failed.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Text that is not a time.
    #[error("invalid time {0:?}")]
    InvalidTime(String),
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnsupportedDriver(_) | Self::UnsupportedOption { .. } | Self::NotReadable => {
                ErrorKind::Unsupported
            }
            Self::UnknownDriver(_)
            | Self::UnknownOption { .. }
            | Self::InvalidOption { .. }
            | Self::InvalidTime(_) => ErrorKind::InvalidArgument,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { .. } => ErrorKind::Internal,
        }
    }
}
