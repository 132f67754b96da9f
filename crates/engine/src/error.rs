//! Everything the engine can answer instead of success. `Display` is the text
//! that the client is shown, in Docker's words where tools match on them.

use gantry_types::ErrorKind;

/// The result of every call of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container has this id, prefix or name.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// Several ids begin with this.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// The name is taken.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// Without the slash.
        name: String,
        /// Whose it is.
        id: String,
    },
    /// Not a name.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// Detach keys that cannot be pressed.
    #[error("Invalid detach keys ({0}) provided")]
    InvalidDetachKeys(String),
    /// The same, when an exec is created.
    #[error("Invalid escape keys ({0}) provided")]
    InvalidEscapeKeys(String),
    /// A request that is wrong in itself; the text names what and why.
    #[error("{0}")]
    Invalid(String),
    /// A request that the state of a container forbids.
    #[error("{0}")]
    Conflict(String),
    /// A request that is not allowed; the text is Docker's.
    #[error("{0}")]
    Forbidden(String),
    /// Something named in the request does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Known to Docker's users, but not to this engine yet.
    #[error("option {0} is not supported yet")]
    UnsupportedOption(String),
    /// Known to Docker's users, but not to this engine yet.
    #[error("{0}")]
    Unsupported(String),
    /// Nothing had to be done.
    #[error("container {0} is already in the wanted state")]
    NotModified(String),
    /// A container that must run does not.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// A container cannot be renamed so.
    #[error("Error when allocating new name: {0}")]
    NewName(#[source] Box<Error>),
    /// A container that is to go on was not paused.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// What Docker tells as a failure of its own, in its words.
    #[error("{0}")]
    Failed(String),
    /// A verb that failed on a container, for a reason of its own.
    #[error("{verb} {container}: {source}")]
    Verb {
        /// `cannot stop container:` and so on.
        verb: &'static str,
        /// As the client named it.
        container: String,
        /// Why.
        source: Box<Error>,
    },
    /// The process could not be started.
    #[error("{message}")]
    Start {
        /// In Docker's words: clients derive their exit code from it.
        message: String,
        /// What the container's state says from now on: 126, 127 or 128.
        exit_code: i32,
        /// Whose fault it was.
        kind: ErrorKind,
    },
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// The image store refused or failed.
    #[error(transparent)]
    Image(#[from] gantry_image::Error),
    /// A build failed.
    #[error(transparent)]
    Build(#[from] gantry_build::Error),
    /// A registry refused or failed.
    #[error(transparent)]
    Registry(#[from] gantry_registry::Error),
    /// An image is not trusted, or the policy cannot be understood.
    #[error(transparent)]
    Trust(#[from] gantry_trust::Error),
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] gantry_metadata::Error),
    /// The storage driver failed.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshot::Error),
    /// The volume store refused or failed.
    #[error(transparent)]
    Volume(#[from] gantry_volume::Error),
    /// The network refused or failed.
    #[error(transparent)]
    Network(#[from] gantry_network::Error),
    /// A shim could not be reached or refused.
    #[error(transparent)]
    Shim(#[from] gantry_shim::client::Error),
    /// The log could not be opened or read.
    #[error(transparent)]
    Logs(#[from] gantry_logs::Error),
    /// The disk or the kernel failed.
    #[error("{operation} {object}: {source}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To what.
        object: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A record or a file that the engine wrote makes no sense.
    #[error("{0}")]
    Corrupt(String),
}

impl Error {
    /// A container that cannot be started as it was configured.
    pub(crate) fn spec(message: String) -> Self {
        Self::Start {
            message,
            exit_code: 128,
            kind: ErrorKind::Internal,
        }
    }

    /// The refusal to work with a container that waits for its restart.
    pub(crate) fn restarting(id: &gantry_types::ContainerId) -> Self {
        Self::Conflict(format!(
            "Container {id} is restarting, wait until the container is running"
        ))
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchContainer(_) | Self::NotFound(_) => ErrorKind::NotFound,
            Self::AmbiguousPrefix(_)
            | Self::InvalidName(_)
            | Self::InvalidDetachKeys(_)
            | Self::Invalid(_) => ErrorKind::InvalidArgument,
            Self::NameInUse { .. } | Self::Conflict(_) | Self::NotRunning(_) => ErrorKind::Conflict,
            Self::UnsupportedOption(_) | Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotModified(_) => ErrorKind::NotModified,
            Self::Verb { source, .. } | Self::NewName(source) => source.kind(),
            Self::Start { kind, .. } => *kind,
            Self::ShuttingDown => ErrorKind::Unavailable,
            Self::Image(error) => error.kind(),
            Self::Build(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::Trust(error) => error.kind(),
            Self::Metadata(error) => error.kind(),
            Self::Snapshot(error) => error.kind(),
            Self::Volume(error) => error.kind(),
            Self::Network(error) => error.kind(),
            Self::Shim(error) => error.kind(),
            Self::Logs(error) => error.kind(),
            // Docker has no better word for the first three.
            Self::InvalidEscapeKeys(_)
            | Self::NotPaused(_)
            | Self::Failed(_)
            | Self::Io { .. }
            | Self::Corrupt(_) => ErrorKind::Internal,
        }
    }

    /// The failure of an operation on a file or directory.
    pub(crate) fn io(
        operation: &'static str,
        object: impl AsRef<std::path::Path>,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            operation,
            object: object.as_ref().display().to_string(),
            source,
        }
    }

    /// The same failure, told as a failure of `verb` on the container that the
    /// client named; that nothing had to be done stays as it is.
    pub(crate) fn of_verb(self, verb: &'static str, container: &str) -> Self {
        match self {
            Self::NotModified(_) => self,
            source => Self::Verb {
                verb,
                container: container.to_owned(),
                source: Box::new(source),
            },
        }
    }
}

impl From<crate::containers::SignalError> for Error {
    fn from(error: crate::containers::SignalError) -> Self {
        Self::Invalid(error.to_string())
    }
}
