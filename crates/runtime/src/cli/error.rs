//! Errors of the command line, in runc's words where callers match on them.

use std::path::{Path, PathBuf};

use crate::error::{StartError, Step};

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// `--help` of a command.
    #[error("help")]
    Help,
    /// There is no such container.
    #[error("container does not exist")]
    NoSuchContainer,
    /// The id is taken.
    #[error("container with given ID already exists")]
    Exists,
    /// The id cannot be one.
    #[error("invalid container ID format: {0:?}")]
    InvalidId(String),
    /// The container is in the wrong state.
    #[error("{0}")]
    State(String),
    /// A file.
    #[error("{operation} {}: {}", path.display(), words(source))]
    File {
        operation: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// A document.
    #[error("{}: {text}", path.display())]
    Document { path: PathBuf, text: String },
    /// The cgroup.
    #[error("{}", cgroup_words(.0))]
    Cgroup(#[from] gantry_cgroup::Error),
    /// The first process did not start.
    #[error("{}", start_words(.0))]
    Start(StartError),
    /// A further process did not start.
    #[error("exec failed: {}", exec_words(.0))]
    Exec(StartError),
    /// Something else of `exec`.
    #[error("exec failed: {0}")]
    InExec(Box<Error>),
    /// A command failed. The text is the one that callers of runc look for.
    #[error("runc {command} failed: {error}")]
    OfCommand {
        command: &'static str,
        error: Box<Error>,
    },
    /// The same with a word about what it is part of.
    #[error("{0}: {1}")]
    InContext(&'static str, Box<Error>),
    /// There is no such command.
    #[error("No help topic for '{0}'")]
    NoTopic(String),
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an I/O error with what was done to which path.
    pub(super) fn file(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File {
            operation,
            path,
            source,
        }
    }

    /// The same error as one of `exec`, which has an exit code of its own.
    pub(super) fn in_exec(self) -> Self {
        match self {
            Self::Help | Self::Exec(_) => self,
            other => Self::InExec(Box::new(other)),
        }
    }

    /// The same error as one of this command.
    pub(super) fn of_command(self, command: &'static str) -> Self {
        Self::OfCommand {
            command,
            error: Box::new(self),
        }
    }

    /// The same error as part of something.
    pub(super) fn in_context(self, what: &'static str) -> Self {
        Self::InContext(what, Box::new(self))
    }

    /// Whether a file is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// What the program exits with.
    pub(super) fn exit_code(&self) -> i32 {
        match self {
            Self::Exec(_) | Self::InExec(_) => 255,
            Self::NoTopic(_) => 3,
            _ => 1,
        }
    }
}

/// A failed start: what the spec asks in vain is told apart from what fails.
fn start_words(error: &StartError) -> String {
    match (error.step, error.detail.as_str()) {
        (Step::Spec, detail) if !detail.is_empty() => detail.to_owned(),
        _ => format!("unable to start container process: error during container init: {error}"),
    }
}

fn exec_words(error: &StartError) -> String {
    match (error.step, error.detail.as_str()) {
        (Step::Spec, detail) if !detail.is_empty() => detail.to_owned(),
        _ => format!("unable to start container process: {error}"),
    }
}

/// A failure of the cgroup, in runc's words where there are some.
fn cgroup_words(error: &gantry_cgroup::Error) -> String {
    match error {
        gantry_cgroup::Error::Populated(path) => {
            format!("container's cgroup is not empty: {}", path.display())
        }
        other => other.to_string(),
    }
}

/// An I/O error without Rust's number in brackets, in small letters.
fn words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => crate::error::errno_text(errno),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_has_its_own_code() {
        assert_eq!(Error::NoSuchContainer.exit_code(), 1);
        let error = Error::NoSuchContainer.in_exec();
        assert_eq!(error.exit_code(), 255);
        assert_eq!(error.to_string(), "exec failed: container does not exist");
    }
}
