//! What a server may take of our time and memory.

use std::time::Duration;

/// Bounds of a conversation with one server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// For a connection to be made, and for a head to arrive.
    pub(crate) answer: Duration,
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
            answer: Duration::from_secs(30),
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
