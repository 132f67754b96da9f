//! What can go wrong with an archive, told so that the bad entry is named.

use std::io;

use gantry_types::ErrorKind;

/// A failure to read, apply or write an archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no tar archive, or a damaged one.
    #[error("invalid tar archive: {reason}{}", at(entry))]
    Damaged {
        /// The entry, or the last one before the damage; empty at the start.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// The archive ends in the middle of an entry.
    #[error("truncated tar archive: unexpected end{}", at(entry))]
    Truncated {
        /// The entry that is cut off.
        entry: String,
    },
    /// The entry is hostile or cannot be meant: it was not written.
    #[error("refusing archive entry {entry}: {reason}")]
    Refused {
        /// The entry.
        entry: String,
        /// Why.
        reason: String,
    },
    /// The entry is of a type that has no meaning here.
    #[error("archive entry {entry}: {what} is not supported")]
    Unsupported {
        /// The entry.
        entry: String,
        /// What is not supported.
        what: String,
    },
    /// A directory and something else may not replace each other.
    #[error("cannot overwrite {} {entry} with {}", kind(!directory), kind(*directory))]
    OtherKind {
        /// The entry.
        entry: String,
        /// Whether it is the directory.
        directory: bool,
    },
    /// Something is mounted on what was to be replaced, or in it.
    #[error("RemoveAll {entry}: device or resource busy")]
    Mounted {
        /// Where.
        entry: String,
    },
    /// The archive is larger than the caller allows.
    #[error("archive exceeds the limit of {value} {limit}{}", at(entry))]
    Limit {
        /// Which limit, in words ("bytes of decompressed data").
        limit: &'static str,
        /// Its value.
        value: u64,
        /// The entry that was being read, if any.
        entry: String,
    },
    /// The compressed stream is damaged.
    #[error("invalid {format} stream: {source}")]
    Compression {
        /// The format's name.
        format: &'static str,
        /// What the decoder says.
        #[source]
        source: io::Error,
    },
    /// Reading the archive failed.
    #[error("reading the archive: {source}")]
    Read {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Writing the archive failed.
    #[error("writing the archive: {source}")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refused an operation for an entry or a file of a tree.
    #[error("{operation} {entry}: {source}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// The entry or the path below the root.
        entry: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What is a directory, and what is not.
fn kind(directory: bool) -> &'static str {
    match directory {
        true => "directory",
        false => "non-directory",
    }
}

/// " at entry X", if there is one.
fn at(entry: &str) -> String {
    if entry.is_empty() {
        String::new()
    } else {
        format!(" at entry {entry}")
    }
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. }
            | Self::Truncated { .. }
            | Self::Refused { .. }
            | Self::OtherKind { .. }
            | Self::Limit { .. }
            | Self::Compression { .. } => ErrorKind::InvalidArgument,
            Self::Mounted { .. } => ErrorKind::Conflict,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Read { .. } | Self::Write { .. } | Self::File { .. } => ErrorKind::Internal,
        }
    }

    /// For `map_err`: an operation of the kernel on `name` that failed.
    pub(crate) fn file<E: Into<io::Error>>(
        operation: &'static str,
        name: &[u8],
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::File {
            operation,
            entry: display(name),
            source: source.into(),
        }
    }

    /// An error for an entry that must not be written.
    pub(crate) fn refused(name: &[u8], reason: impl Into<String>) -> Self {
        Self::Refused {
            entry: display(name),
            reason: reason.into(),
        }
    }

    /// An error for an entry whose header makes no sense.
    pub(crate) fn damaged(name: &[u8], reason: impl Into<String>) -> Self {
        Self::Damaged {
            entry: display(name),
            reason: reason.into(),
        }
    }

    /// What a failed `read` means: our own error when it was wrapped by the
    /// decoder, a failed read otherwise.
    pub(crate) fn from_read(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(own) => own,
            Err(source) => Self::Read { source },
        }
    }

    /// The same error as an `io::Error`, to pass through `Read`.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }
}

/// A name of foreign bytes for a message: quoted, escaped, bounded.
pub(crate) fn display(name: &[u8]) -> String {
    const LONGEST: usize = 300;
    if name.is_empty() {
        return String::new();
    }
    let text = String::from_utf8_lossy(name);
    if text.chars().count() <= LONGEST {
        format!("{text:?}")
    } else {
        let head: String = text.chars().take(LONGEST).collect();
        format!("{head:?}…")
    }
}
