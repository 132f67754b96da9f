//! Our `local` records. All numbers are little-endian:
//!
//! ```text
//! u32 length of body │ body │ u32 length of body
//! body: u8 flags (1 stderr, 2 line feed follows) │ i64 seconds │ u32 nanoseconds │ text
//! ```
//!
//! The length stands at both ends, so a file can be walked from either.

use std::collections::BTreeMap;

use crate::Stream;
use crate::reader::Entry;
use crate::splitter::Piece;
use crate::timestamp::Timestamp;

const STDERR: u8 = 1;
const ENDS_LINE: u8 = 2;
/// Flags and time.
const FIXED: usize = 13;
/// Bytes of one length.
pub(crate) const LENGTH: usize = 4;

/// Appends one record.
pub(crate) fn encode(out: &mut Vec<u8>, stream: Stream, piece: Piece<'_>) {
    let length = (FIXED + piece.text.len()) as u32;
    let mut flags = match stream {
        Stream::Stdout => 0,
        Stream::Stderr => STDERR,
    };
    if piece.ends_line {
        flags |= ENDS_LINE;
    }
    out.extend_from_slice(&length.to_le_bytes());
    out.push(flags);
    out.extend_from_slice(&piece.time.seconds.to_le_bytes());
    out.extend_from_slice(&piece.time.nanoseconds.to_le_bytes());
    out.extend_from_slice(piece.text);
    out.extend_from_slice(&length.to_le_bytes());
}

/// The length of the body that `bytes` announce.
pub(crate) fn announced(bytes: &[u8]) -> Option<usize> {
    let length: [u8; LENGTH] = bytes.get(..LENGTH)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(length)).ok()
}

/// One record where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) stream: Stream,
    /// Whether a line feed follows.
    pub(crate) ends_line: bool,
    pub(crate) time: Timestamp,
    pub(crate) text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the body of one record; `None` if it cannot be one.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let (&flags, rest) = body.split_first()?;
        let (seconds, rest) = rest.split_first_chunk::<8>()?;
        let (nanoseconds, text) = rest.split_first_chunk::<4>()?;
        Some(Self {
            stream: match flags & STDERR {
                0 => Stream::Stdout,
                _ => Stream::Stderr,
            },
            ends_line: flags & ENDS_LINE != 0,
            time: Timestamp {
                seconds: i64::from_le_bytes(*seconds),
                nanoseconds: u32::from_le_bytes(*nanoseconds),
            },
            text,
        })
    }

    /// As it was before it became a record.
    pub(crate) fn piece(&self) -> Piece<'a> {
        Piece {
            text: self.text,
            ends_line: self.ends_line,
            time: self.time,
        }
    }
}

/// Reads the body of one record into an entry.
pub(crate) fn decode(body: &[u8]) -> Option<Entry> {
    let record = Record::read(body)?;
    let mut line = record.text.to_vec();
    if record.ends_line {
        line.push(b'\n');
    }
    Some(Entry {
        time: record.time,
        stream: record.stream,
        line,
        attributes: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_read_back(text in prop::collection::vec(any::<u8>(), 0..200), ends_line: bool) {
            let time = Timestamp { seconds: -5, nanoseconds: 7 };
            let mut out = Vec::new();
            encode(&mut out, Stream::Stderr, Piece { text: &text, ends_line, time });
            let length = announced(&out).unwrap();
            let entry = decode(&out[LENGTH..LENGTH + length]).unwrap();
            prop_assert_eq!(entry.time, time);
            let mut wanted = text.clone();
            wanted.extend(ends_line.then_some(b'\n'));
            prop_assert_eq!(entry.line, wanted);
            prop_assert_eq!(announced(&out[out.len() - LENGTH..]), Some(length));
        }

        #[test]
        fn rubbish_is_survived(body in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&body);
            let _ = announced(&body);
        }
    }
}
