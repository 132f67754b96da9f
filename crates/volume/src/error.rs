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
    /// There is no such driver.
    #[error(
        "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
    )]
    NoDriver {
        /// The volume that was to be made.
        name: String,
        /// The driver that was asked for.
        driver: String,
    },
    /// There is something of the driver's name that cannot be used.
    #[error("create {name}: error looking up volume plugin {driver}: {why}")]
    BadDriver {
        /// The volume that was to be made.
        name: String,
        /// The driver that was asked for.
        driver: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another driver has a volume of that name.
    #[error(
        "create {name}: driver '{driver}' already has volume '{name}': volume name must be unique"
    )]
    Taken {
        /// The volume that was to be made.
        name: String,
        /// Who has one.
        driver: String,
    },
    /// A plug-in failed, in its own words.
    #[error("{operation} {name}: {why}")]
    Driver {
        /// What it was to do.
        operation: &'static str,
        /// With which volume.
        name: String,
        /// Its words, or why it did not answer.
        why: String,
    },
    /// A plug-in could not mount a volume.
    #[error("error while mounting volume '': {why}")]
    Mount {
        /// Its words, or why it did not answer.
        why: String,
        /// Whether it may have mounted it all the same.
        unanswered: bool,
    },
    /// There is a volume of that name already.
    #[error("volume {0} exists already")]
    Exists(String),
    /// Somebody uses what is to get another name.
    #[error("rename {name}: {why}")]
    Busy {
        /// The volume.
        name: String,
        /// By whom it is used.
        why: String,
    },
    /// That cannot be done with such a volume.
    #[error("{operation} {name}: {why}")]
    Refused {
        /// What was to be done.
        operation: &'static str,
        /// The volume.
        name: String,
        /// Why it cannot.
        why: String,
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
            Self::NotFound(_) | Self::NoDriver { .. } | Self::BadDriver { .. } => {
                ErrorKind::NotFound
            }
            Self::Invalid { .. } | Self::Refused { .. } => ErrorKind::InvalidArgument,
            Self::Exists(_) => ErrorKind::AlreadyExists,
            Self::InUse { .. } | Self::Taken { .. } | Self::Busy { .. } => ErrorKind::Conflict,
            Self::Driver { .. } | Self::Mount { .. } => ErrorKind::Internal,
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
