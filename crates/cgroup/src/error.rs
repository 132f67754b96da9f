//! What can go wrong with a control group.

use std::io;
use std::path::{Path, PathBuf};

use gantry_types::ErrorKind;

/// The result of a cgroup operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed cgroup operation, with the file or limit that it concerned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cgroup file system is mounted.
    #[error("no cgroup file system is mounted")]
    NotMounted,
    /// A limit was asked for whose controller this kernel lacks.
    #[error("{limit} cannot be limited: the kernel has no {controller} cgroup controller")]
    MissingController {
        /// The controller, by the kernel's name.
        controller: &'static str,
        /// The limit that needs it.
        limit: &'static str,
    },
    /// A value that the kernel would refuse or misread.
    #[error("invalid cgroup setting {setting}: {reason}")]
    InvalidSetting {
        /// The setting.
        setting: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A cgroup path that leaves its hierarchy or cannot be a path.
    #[error("invalid cgroup path {0:?}")]
    InvalidPath(String),
    /// A new cgroup exists already and processes are in it.
    #[error("cgroup {0} exists and has processes")]
    Populated(PathBuf),
    /// A file or directory operation failed.
    #[error("{operation} {path}: {}", words(source))]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Writing a value was refused.
    #[error("failed to write {value:?}: write {path}: {}", words(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// The value, shortened if long.
        value: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A new limit of memory is below what the processes hold.
    #[error("unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})")]
    MemoryInUse {
        /// The limit that was asked for, in bytes.
        limit: i64,
        /// What is used now.
        usage: u64,
        /// The most that was ever used.
        peak: u64,
    },
    /// The bpf(2) system call failed.
    #[error("device filter: {operation}: {source}")]
    DeviceFilter {
        /// `load` or `attach`.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// systemd did not do what it was asked.
    #[error("systemd: {operation} {unit}: {why}")]
    Systemd {
        /// The method.
        operation: &'static str,
        /// The unit.
        unit: String,
        /// Its answer.
        why: String,
    },
    /// A short-lived thread could not be made.
    #[error("starting a thread in the cgroup: {0}")]
    Thread(io::Error),
    /// Something did not happen in time.
    #[error("{operation} {path}: timed out")]
    TimedOut {
        /// What was waited for.
        operation: &'static str,
        /// The cgroup.
        path: PathBuf,
    },
}

/// An errno in the words that container engines use: the C library's, but not
/// capitalised.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
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
            Self::NotMounted | Self::MissingController { .. } => ErrorKind::Unsupported,
            Self::InvalidSetting { .. } | Self::InvalidPath(_) => ErrorKind::InvalidArgument,
            Self::Populated(_) | Self::MemoryInUse { .. } => ErrorKind::Conflict,
            Self::Write { source, .. } if source.raw_os_error() == Some(libc::EINVAL) => {
                ErrorKind::InvalidArgument
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { .. }
            | Self::Write { .. }
            | Self::DeviceFilter { .. }
            | Self::Systemd { .. }
            | Self::Thread(_)
            | Self::TimedOut { .. } => ErrorKind::Internal,
        }
    }

    /// The kernel's error number, where the kernel refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. }
            | Self::Write { source, .. }
            | Self::DeviceFilter { source, .. }
            | Self::Thread(source) => source.raw_os_error(),
            Self::NotMounted
            | Self::MissingController { .. }
            | Self::InvalidSetting { .. }
            | Self::InvalidPath(_)
            | Self::Populated(_)
            | Self::MemoryInUse { .. }
            | Self::Systemd { .. }
            | Self::TimedOut { .. } => None,
        }
    }
}
