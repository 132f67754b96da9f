//! What a server may take of our time and memory.

use std::time::Duration;

/// Bounds of a conversation with one server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// For a connection to be made.
    pub(crate) connect: Duration,
    /// For the head of an answer to arrive. What is written may take a registry longer: it
    /// moves the bytes to where they stay before it answers.
    pub(crate) answer: Duration,
    pub(crate) answer_to_writing: Duration,
    /// Between two bytes of a body.
    pub(crate) stall: Duration,
    /// The first wait before something is tried again; each next one is longer.
    pub(crate) pause: Duration,
    /// The longest wait that a server may ask for.
    pub(crate) longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            answer_to_writing: Duration::from_secs(600),
            stall: Duration::from_secs(30),
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// The longest manifest, index, configuration or list of tags.
pub(crate) const DOCUMENT: u64 = 4 << 20;
/// How much is read of an answer that tells of an error.
pub(crate) const ERROR: u64 = 64 << 10;
/// How often a server may send us elsewhere.
pub(crate) const REDIRECTS: usize = 8;
