//! Why a build came to nothing.

use gantry_dockerfile::Span;
use gantry_types::ErrorKind;

/// A failure of a build. `Display` is what its user is shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Dockerfile, an option or the context is wrong; the text says where.
    #[error("{0}")]
    Invalid(String),
    /// A command of a step did not end well.
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Exit {
        /// The command.
        command: String,
        /// What it ended with.
        code: i32,
    },
    /// A command could not be begun.
    #[error("{error}")]
    NotBegun {
        /// The command.
        command: String,
        /// Why.
        error: Box<Error>,
    },
    /// What is wrong with an instruction, and where that stands.
    #[error("{error}")]
    Placed {
        /// Where.
        span: Span,
        /// What.
        error: Box<Error>,
    },
    /// What a step names is not there.
    #[error("{0}")]
    NotFound(String),
    /// What a step does has failed.
    #[error("{0}")]
    Failed(String),
    /// Known to Docker's users, but not here.
    #[error("{0}")]
    Unsupported(String),
    /// Files of the context were changed while they were read.
    #[error("files of the build context are changed while they are read")]
    Changing,
    /// Somebody has cancelled the build.
    #[error("build cancelled")]
    Cancelled,
    /// The stores of images.
    #[error(transparent)]
    Image(#[from] gantry_image::Error),
    /// The storage driver.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshot::Error),
    /// The records.
    #[error(transparent)]
    Metadata(#[from] gantry_metadata::Error),
    /// Files.
    #[error(transparent)]
    Archive(#[from] gantry_archive::Error),
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::InvalidArgument,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Changing => ErrorKind::Conflict,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Exit { .. } | Self::Failed(_) | Self::Archive(_) => ErrorKind::Internal,
            Self::NotBegun { error, .. } | Self::Placed { error, .. } => error.kind(),
            Self::Image(error) => error.kind(),
            Self::Snapshot(error) => error.kind(),
            Self::Metadata(error) => error.kind(),
        }
    }

    /// A failure of getting a repository.
    pub fn of_git(error: gantry_git::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::InvalidArgument => Self::Invalid(text),
            ErrorKind::NotFound => Self::NotFound(text),
            ErrorKind::Unsupported => Self::Unsupported(text),
            ErrorKind::Cancelled => Self::Cancelled,
            _ => Self::Failed(text),
        }
    }

    /// A failure with a file of the host.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Failed(format!("{what} {}: {error}", path.display()))
    }
}
