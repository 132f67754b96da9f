//! Everything that makes a command fail, and what to do about it.

use gantry_types::ErrorKind;

/// Why a command failed. `Display` is what the user reads, in Docker's words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon answered with an error.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// The HTTP status.
        status: u16,
        /// The daemon's message.
        message: String,
    },
    /// The daemon refused to give a connection over to a stream. Docker's client
    /// tells the status alone; the message becomes a hint.
    #[error("unable to upgrade to tcp, received {status}")]
    Upgrade {
        /// The HTTP status.
        status: u16,
        /// The daemon's message.
        message: String,
    },
    /// No daemon could be reached.
    #[error("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")]
    Unreachable {
        /// The endpoint, as a URL.
        host: String,
    },
    /// The user may not use the socket.
    #[error(
        "permission denied while trying to connect to the Docker daemon socket at {host}: {reason}"
    )]
    Refused {
        /// The endpoint, as a URL.
        host: String,
        /// The system's reason.
        reason: String,
    },
    /// The conversation with the daemon broke.
    #[error("error during connect: {operation}: {reason}")]
    Transport {
        /// What was being asked.
        operation: String,
        /// What went wrong.
        reason: String,
    },
    /// The command line, a file or the daemon's answer is not as it must be.
    #[error("{0}")]
    Message(String),
    /// This client does not know how to do that yet.
    #[error("{0}")]
    Unsupported(String),
    /// A failure that has its own exit code.
    #[error("{message}")]
    Status {
        /// What the user reads; empty prints nothing.
        message: String,
        /// The exit code.
        code: i32,
    },
    /// Several objects failed, each with its own line.
    #[error("{}", .0.join("\n"))]
    Several(Vec<String>),
}

impl Error {
    /// A message of this client.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Daemon { status, .. } | Self::Upgrade { status, .. } => match status {
                304 => ErrorKind::NotModified,
                400 => ErrorKind::InvalidArgument,
                401 => ErrorKind::Unauthorized,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                409 => ErrorKind::Conflict,
                501 => ErrorKind::Unsupported,
                503 => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
            Self::Unreachable { .. } => ErrorKind::Unavailable,
            Self::Refused { .. } => ErrorKind::Forbidden,
            Self::Transport { .. } | Self::Status { .. } | Self::Several(_) => ErrorKind::Internal,
            Self::Message(_) => ErrorKind::InvalidArgument,
            Self::Unsupported(_) => ErrorKind::Unsupported,
        }
    }
}

/// Why a file cannot be used, in Go's words.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        _ => error.to_string(),
    }
}
