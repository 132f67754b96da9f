//! What can go wrong with the database.

use std::path::{Path, PathBuf};

use gantry_types::ErrorKind;

/// A failed operation on the metadata database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be opened or prepared.
    #[error("cannot open the metadata database {path}: {source}")]
    Open {
        /// Its file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The database's file is not what SQLite has written.
    #[error(
        "the metadata database is damaged ({operation}: {source}): stop the daemon and run 'gantry \
         system check --data-root DIR --repair', or put a copy of metadata.db in its place"
    )]
    Damage {
        /// What was being done.
        operation: &'static str,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The file could not be exchanged for its copy.
    #[error("cannot {operation}: {reason}")]
    Mend {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// A later version of gantry has written the database.
    #[error(
        "the metadata database {path} has schema version {found}, but this gantry knows only \
         versions up to {known}: use the newer gantry that wrote it"
    )]
    NewerSchema {
        /// Its file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// The file belongs to another program.
    #[error("{path} is an SQLite database of another program (application id {found:#x})")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id found.
        found: i64,
    },
    /// A record with the same unique value exists.
    #[error("{table}: {key} exists already")]
    Exists {
        /// The table.
        table: &'static str,
        /// The value.
        key: String,
    },
    /// A stored value is not what its column holds.
    #[error("damaged record in {table}: {column} is {value:?}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What was found.
        value: String,
    },
    /// The disk has no room for the change.
    #[error("metadata database, {operation}: no space left on device")]
    Full {
        /// What was being done.
        operation: &'static str,
    },
    /// Anything else SQLite says.
    #[error("metadata database, {operation}: {source}")]
    Sqlite {
        /// What was being done.
        operation: &'static str,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists { .. } => ErrorKind::AlreadyExists,
            Self::NewerSchema { .. } | Self::Foreign { .. } => ErrorKind::Unsupported,
            Self::Open { .. }
            | Self::Damage { .. }
            | Self::Mend { .. }
            | Self::Damaged { .. }
            | Self::Full { .. }
            | Self::Sqlite { .. } => ErrorKind::Internal,
        }
    }

    /// Whether the database's file is damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damage { .. })
    }

    /// For `map_err`, while the database at `path` is opened.
    pub(crate) fn opening(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| match source.sqlite_error_code() {
            Some(code) if is_damage(code) => Self::Damage {
                operation: "open",
                source,
            },
            _ => Self::Open {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Wraps SQLite's error with the operation's name, for `map_err`.
    pub(crate) fn at(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full { operation },
            Some(code) if is_damage(code) => Self::Damage { operation, source },
            _ => Self::Sqlite { operation, source },
        }
    }

    /// Like [`Error::at`], but a violated unique constraint says what exists.
    pub(crate) fn inserting(
        table: &'static str,
        key: impl ToString,
    ) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) if is_unique(&source) => Self::Exists {
                table,
                key: key.to_string(),
            },
            _ => Self::at(table)(source),
        }
    }
}

fn is_damage(code: rusqlite::ErrorCode) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(code, DatabaseCorrupt | NotADatabase)
}

fn is_unique(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error().map(|inner| inner.extended_code),
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
    )
}
