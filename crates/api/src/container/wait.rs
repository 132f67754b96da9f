//! `POST /containers/{id}/wait`.

use crate::body::is_default;

/// What to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WaitCondition {
    /// That it does not run; answers at once when it does not.
    #[default]
    NotRunning,
    /// That a run ends that is under way or still to come.
    NextExit,
    /// That it is gone.
    Removed,
}

impl WaitCondition {
    /// Reads the `condition` of the query; the empty one is the default.
    ///
    /// # Errors
    /// When it is unknown, in Docker's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "not-running" => Ok(Self::NotRunning),
            "next-exit" => Ok(Self::NextExit),
            "removed" => Ok(Self::Removed),
            other => Err(format!("invalid condition: {other:?}")),
        }
    }

    /// As in the query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRunning => "not-running",
            Self::NextExit => "next-exit",
            Self::Removed => "removed",
        }
    }
}

body! {
    /// How the container ended.
    pub struct WaitResponse {
        /// Why waiting failed, or why it could not be removed.
        #[serde(skip_serializing_if = "is_default")]
        pub error: Option<WaitError>,
        /// Its exit code.
        pub status_code: i64,
    }

    /// A failure in the answer.
    pub struct WaitError {
        /// For the user.
        #[serde(skip_serializing_if = "is_default")]
        pub message: String,
    }
}
