//! The two ways a template fails.

/// Why a template could not be parsed or rendered, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a template.
    #[error("template: :{line}: {message}")]
    Parse {
        /// The line of the fault, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// An action could not be evaluated.
    #[error("template: :{line}:{column}: executing \"\" at <{context}>: {message}")]
    Execute {
        /// The line of the action, from 1.
        line: usize,
        /// The byte in that line, from 0.
        column: usize,
        /// The source of the node that failed.
        context: String,
        /// What went wrong.
        message: String,
    },
}
