//! What can go wrong between us and a registry, in Docker's words.

use std::io;

use gantry_types::{Digest, ErrorKind};

use crate::refusal::Refusal;

/// Short for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has something that is none.
    #[error("invalid {what}: {text:?}: {reason}")]
    Config {
        /// Which part of it.
        what: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No request could be sent, or no answer was understood.
    #[error("{verb} \"{url}\": {reason}")]
    Request {
        /// `Get`, as Docker writes it.
        verb: &'static str,
        /// For what was asked.
        url: String,
        /// Why it failed.
        reason: String,
    },
    /// The server has answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The server wants a name and a password, and there are none.
    #[error("{request}no basic auth credentials")]
    NoCredentials {
        /// `Get "URL": `, for what is read; Docker says less about what is written.
        request: String,
    },
    /// The credentials are missing, or are not the right ones.
    #[error("{verb} \"{url}\": {reason}")]
    Unauthorized {
        /// `Get`, as Docker writes it.
        verb: &'static str,
        /// For what they are needed.
        url: String,
        /// The words of whoever did not like them.
        reason: String,
    },
    /// Where a registry is searched, nobody answers. The text is Docker's.
    #[error(
        "invalid registry endpoint https://{host}/v1/: {reason}. If this private registry supports \
         only HTTP or HTTPS with an unknown CA certificate, please add `--insecure-registry {host}` \
         to the daemon's arguments. In the case of HTTPS, if you have access to the registry's CA \
         certificate, no need for the flag; simply place the CA certificate at \
         /etc/docker/certs.d/{host}/ca.crt"
    )]
    Index {
        /// The registry.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// A registry cannot be searched.
    #[error("Unexpected status code {0}")]
    NoSearch(u16),
    /// A registry does not know who wants to log in.
    #[error("login attempt to {url} failed with status: {}", refusal.status_line())]
    Login {
        /// Where that was tried.
        url: String,
        /// What it has answered.
        refusal: Refusal,
    },
    /// There is no such repository, or it is not for us.
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': \
         {refusal}"
    )]
    PullDenied {
        /// The repository as users write it.
        name: String,
        /// The server's own words.
        refusal: Refusal,
    },
    /// The repository has no such tag or manifest.
    #[error("manifest for {reference} not found: {refusal}")]
    ManifestUnknown {
        /// As users write it.
        reference: String,
        /// The server's own words.
        refusal: Refusal,
    },
    /// The registry has no such repository.
    #[error("repository {name} not found: {refusal}")]
    NameUnknown {
        /// As users write it.
        name: String,
        /// The server's own words.
        refusal: Refusal,
    },
    /// The registry has no such blob.
    #[error("unknown blob")]
    BlobUnknown(Digest),
    /// Bytes are not what they were said to be.
    #[error("{what} verification failed for digest {expected}")]
    WrongDigest {
        /// What kind of bytes.
        what: &'static str,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Box<Digest>,
    },
    /// There are more or fewer bytes than was said.
    #[error("{what} has {found} bytes, expected {expected}")]
    WrongSize {
        /// What they are.
        what: String,
        /// How many were asked for.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// There are more bytes than any honest server sends.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// What it is.
        what: String,
        /// How many may be.
        limit: u64,
    },
    /// What was to be sent could not be read.
    #[error("reading what is to be sent: {0}")]
    Source(io::Error),
    /// The one who asked does not want it any more.
    #[error("context canceled")]
    Cancelled,
}

impl Error {
    /// What this means to the one who asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::InvalidArgument,
            Self::Refused(refusal) | Self::Login { refusal, .. } => refusal.kind(),
            Self::Unauthorized { .. } => ErrorKind::Unauthorized,
            Self::PullDenied { .. }
            | Self::ManifestUnknown { .. }
            | Self::NameUnknown { .. }
            | Self::BlobUnknown(_) => ErrorKind::NotFound,
            Self::Request { .. }
            | Self::Index { .. }
            | Self::NoSearch(_)
            | Self::NoCredentials { .. }
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::TooLong { .. }
            | Self::Source(_) => ErrorKind::Internal,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }

    /// Whether the same request may succeed when it is sent again.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Request { .. } => true,
            Self::Refused(refusal) => refusal.is_passing(),
            _ => false,
        }
    }

    /// The error inside one that has travelled through a [`std::io::Read`].
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        match error.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            true => error.downcast::<Self>(),
            false => Err(error),
        }
    }
}

impl From<Error> for io::Error {
    /// For readers: [`Error::from_io`] is the way back.
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}
