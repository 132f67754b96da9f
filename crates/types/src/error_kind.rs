//! What an error means to the one who asked, apart from its words.

/// The class of an error. Each crate's error type answers one of these from
/// `kind()`; the server maps it to an HTTP status and the command line to an
/// exit code, each in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The named object does not exist.
    NotFound,
    /// An object of that name exists already.
    AlreadyExists,
    /// The object's state forbids the operation.
    Conflict,
    /// The request itself is wrong.
    InvalidArgument,
    /// Nothing had to be done.
    NotModified,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Credentials do not help.
    Forbidden,
    /// Try again later, or elsewhere.
    Unavailable,
    /// Known, but not supported by this engine, kernel or configuration.
    Unsupported,
    /// The one who asked went away or stopped it.
    Cancelled,
    /// Anything else: the engine, the kernel or the disk failed.
    Internal,
}
