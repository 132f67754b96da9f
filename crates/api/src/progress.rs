//! The JSON lines that long transfers stream (pull, load, import, push, build).

use serde::{Deserialize, Serialize};

use crate::body::is_default;

/// One line of a progress stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressMessage {
    /// Text to print as it is.
    #[serde(skip_serializing_if = "is_default")]
    pub stream: String,
    /// What is being done.
    #[serde(skip_serializing_if = "is_default")]
    pub status: String,
    /// How far it is.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    /// The bar, drawn by the engine for old clients.
    #[serde(skip_serializing_if = "is_default")]
    pub progress: String,
    /// What it is being done to, such as a layer's short id.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    /// A failure, in band since the status code is gone.
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ProgressError>,
    /// The text of `error_detail` again.
    #[serde(skip_serializing_if = "is_default")]
    pub error: String,
    /// Data for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

impl ProgressMessage {
    /// A line that says `status`.
    pub fn status(status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            ..Self::default()
        }
    }

    /// Text to print as it is.
    pub fn stream(stream: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            ..Self::default()
        }
    }

    /// A failure.
    pub fn error(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            error: message.clone(),
            error_detail: Some(ProgressError { code: 0, message }),
            ..Self::default()
        }
    }
}

/// How far a transfer is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    /// Done so far.
    #[serde(skip_serializing_if = "is_default")]
    pub current: i64,
    /// All there is, 0 when unknown.
    #[serde(skip_serializing_if = "is_default")]
    pub total: i64,
    /// Whether numbers should not be shown.
    #[serde(skip_serializing_if = "is_default")]
    pub hidecounts: bool,
    /// What is counted, bytes when empty.
    #[serde(skip_serializing_if = "is_default")]
    pub units: String,
}

/// A failure within a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressError {
    /// An exit code or HTTP status, 0 when there is none.
    #[serde(skip_serializing_if = "is_default")]
    pub code: i64,
    /// What went wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub message: String,
}
