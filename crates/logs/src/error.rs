//! What can go wrong with logs.

use std::io;
use std::path::{Path, PathBuf};

use gantry_types::ErrorKind;

use crate::settings::Driver;

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
    #[error("log option {option} is not supported")]
    UnsupportedOption {
        /// The option.
        option: String,
    },
    /// An option that this driver never had.
    #[error("{}", unknown_option(option, *driver))]
    UnknownOption {
        /// The option.
        option: String,
        /// The driver.
        driver: Driver,
    },
    /// An option with a value that means nothing; the text is Docker's.
    #[error("{0}")]
    InvalidOption(String),
    /// The driver keeps nothing that could be read.
    #[error("configured logging driver does not support reading")]
    NotReadable,
    /// A service cannot be reached; the text is Docker's.
    #[error("{0}")]
    Unreachable(String),
    /// A service does not take a connection.
    #[error("{}", dialled(network, address.as_deref(), reason))]
    Dial {
        /// `tcp`, `udp`, `unix` or `unixgram`.
        network: String,
        /// Where, if that is known.
        address: Option<String>,
        /// Why not.
        reason: String,
    },
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

/// The drivers have different words for it.
fn unknown_option(option: &str, driver: Driver) -> String {
    match driver {
        Driver::Local => format!("unknown log opt '{option}' for log driver local"),
        other => format!("unknown log opt '{option}' for {} log driver", other.name()),
    }
}

fn dialled(network: &str, address: Option<&str>, reason: &str) -> String {
    match address {
        Some(address) => format!("dial {network} {address}: {reason}"),
        None => format!("dial {network}: {reason}"),
    }
}

/// What the system says, in small letters and without its number.
pub(crate) fn told(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
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
            | Self::InvalidOption(_)
            | Self::InvalidTime(_) => ErrorKind::InvalidArgument,
            Self::Unreachable(_) | Self::Dial { .. } => ErrorKind::Internal,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { .. } => ErrorKind::Internal,
        }
    }
}
