//! Container output on disk: the shim writes it, the daemon reads it, at the
//! same time and without talking to each other.
//!
//! ```text
//! <dir>/<id>-json.log      json-file: one JSON object a line, exactly Docker's
//! <dir>/<id>-json.log.1    what was rotated away last, .2 before that, …
//! <dir>/local-logs/container.log   local: binary records, rotated by default
//! <dir>/container-cached.log   the same, where output goes to a service ([`speak`])
//! ….1.gz                   the same compressed, if the options say so
//! ```
//!
//! What holds the two together: a writer appends whole records; it rotates by
//! renaming, never by truncating, so a reader that holds a file open reads it
//! to its end and then goes on with the next. Text may be cut into records
//! ("partial") of 16 KiB, as Docker does; joined, the records of a stream are
//! the bytes that the container wrote, whatever they are in the `local` format;
//! `json-file` replaces what is not UTF-8.

mod codec;
mod error;
mod follow;
mod identity;
mod json;
mod local;
mod opened;
mod options;
mod packing;
mod reader;
mod rotation;
mod settings;
mod size;
pub mod speak;
mod splitter;
mod tag;
mod tail;
mod timestamp;
mod writer;

pub use error::{Error, Result};
pub use follow::FollowControl;
pub use options::{Options, Subject, check, rotation};
pub use reader::{Entry, Query, Reader};
pub use settings::{Driver, Format, Settings, Speaking};
pub use size::parse_size;
pub use timestamp::Timestamp;
pub use writer::Writer;

use serde::{Deserialize, Serialize};

/// Which of the two outputs of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name in log files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}
