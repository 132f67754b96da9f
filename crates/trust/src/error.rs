//! Why something is not trusted, or cannot be asked.

use gantry_types::ErrorKind;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key is not what it should be; the text never has a part of it.
    #[error("{name}: {reason}")]
    Key {
        /// A file, or what stands for one.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The policy cannot be understood, so that nothing can be said about any image.
    #[error("trust policy: {place}: {reason}")]
    Policy {
        /// The rule or file.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// An image that the policy does not let in.
    #[error("{image} is refused by the trust policy for {rule}: {reason}")]
    Untrusted {
        /// The image, as users write it.
        image: String,
        /// The prefix of the rule.
        rule: String,
        /// What is missing or wrong.
        reason: String,
    },
    /// A manifest of signatures that is none.
    #[error("invalid manifest of signatures: {0}")]
    Manifest(String),
    /// The system has no random numbers, or a signature could not be made.
    #[error("cannot {0}")]
    Crypto(&'static str),
}

impl Error {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Key { .. } | Self::Manifest(_) => ErrorKind::InvalidArgument,
            Self::Untrusted { .. } => ErrorKind::Forbidden,
            Self::Policy { .. } | Self::Crypto(_) => ErrorKind::Internal,
        }
    }
}
