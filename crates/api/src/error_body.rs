//! The body of every answer that reports a failure.

use serde::{Deserialize, Serialize};

/// `{"message":"…"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// For the user, in one line.
    pub message: String,
}

impl ErrorBody {
    /// The body that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}
