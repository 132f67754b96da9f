//! Lines as services see them: records, and for pieces of a long line which of
//! them it is.

use std::fmt::Write as _;

use crate::Stream;
use crate::local::Record;

/// A line, or a piece of one.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) record: Record<'a>,
    /// For a piece.
    pub(super) part: Option<Part>,
}

/// Which piece of a line it is.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The same for all pieces of a line.
    pub(super) id: String,
    /// 1 for the first.
    pub(super) ordinal: u32,
    pub(super) last: bool,
}

/// The unfinished line of each stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    stdout: Option<Part>,
    stderr: Option<Part>,
}

impl Lines {
    pub(super) fn next<'a>(&mut self, record: Record<'a>) -> Line<'a> {
        let open = match record.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let part = match (open.take(), record.ends_line) {
            (None, true) => None,
            (before, last) => Some(Part {
                ordinal: before.as_ref().map_or(1, |part| part.ordinal + 1),
                id: before.map_or_else(random_id, |part| part.id),
                last,
            }),
        };
        if !record.ends_line {
            open.clone_from(&part);
        }
        Line { record, part }
    }
}

/// 64 hexadecimal digits that nobody else has.
pub(super) fn random_id() -> String {
    let mut bytes = [0u8; 32];
    // Without random bytes the numbers alone tell pieces apart.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
