//! Cuts a stream into lines, and long lines into pieces of 16 KiB, as Docker
//! does. What is not yet a whole line waits here; it takes memory only then.

use std::io::BufRead;

use crate::timestamp::Timestamp;

/// The longest piece.
pub(crate) const PIECE: usize = 16 << 10;

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The text without its line feed.
    pub(crate) text: &'a [u8],
    /// Whether a line feed followed.
    pub(crate) ends_line: bool,
    /// When it came. All pieces of a line have the time of the first, except
    /// that the last one after others has it too: as Docker keeps it.
    pub(crate) time: Timestamp,
}

/// One stream's unfinished line.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    pending: Vec<u8>,
    /// The time of the first piece of the current line, once one was cut off.
    first_piece: Option<Timestamp>,
}

impl Splitter {
    /// Feeds what was read, and calls `emit` for each line or piece in it.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        now: impl Fn() -> Timestamp,
        mut emit: impl FnMut(Piece<'_>),
    ) {
        while !bytes.is_empty() {
            let room = PIECE - self.pending.len();
            let window = &bytes[..bytes.len().min(room)];
            match line_end(window) {
                Some(end) => {
                    let time = self.first_piece.take().unwrap_or_else(&now);
                    self.emit(&bytes[..end], true, time, &mut emit);
                    bytes = &bytes[end + 1..];
                }
                None if window.len() == room => {
                    let time = *self.first_piece.get_or_insert_with(&now);
                    self.emit(window, false, time, &mut emit);
                    bytes = &bytes[room..];
                }
                None => {
                    self.pending.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// The stream has ended: what is left is a line without a line feed.
    pub(crate) fn finish(&mut self, now: impl Fn() -> Timestamp, mut emit: impl FnMut(Piece<'_>)) {
        if !self.pending.is_empty() {
            let time = self.first_piece.take().unwrap_or_else(&now);
            self.emit(&[], false, time, &mut emit);
        }
    }

    /// Emits what waited and then `text`, as one.
    fn emit(
        &mut self,
        text: &[u8],
        ends_line: bool,
        time: Timestamp,
        emit: &mut impl FnMut(Piece<'_>),
    ) {
        if self.pending.is_empty() {
            emit(Piece {
                text,
                ends_line,
                time,
            });
            return;
        }
        let mut whole = std::mem::take(&mut self.pending);
        whole.extend_from_slice(text);
        emit(Piece {
            text: &whole,
            ends_line,
            time,
        });
    }
}

/// Where the first line feed is.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    // The library's fastest search for a byte, and for memory it cannot fail.
    let count = rest.skip_until(b'\n').unwrap_or(0);
    count.checked_sub(1).filter(|end| bytes[*end] == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut pieces = Vec::new();
        let mut splitter = Splitter::default();
        let mut keep = |piece: Piece<'_>| pieces.push((piece.text.to_vec(), piece.ends_line));
        for chunk in chunks {
            splitter.feed(chunk, Timestamp::now, &mut keep);
        }
        splitter.finish(Timestamp::now, &mut keep);
        pieces
    }

    #[test]
    fn lines_and_the_rest() {
        let pieces = split(&[b"one\ntw", b"o\n\nrest"]);
        let texts: Vec<_> = pieces.iter().map(|(t, e)| (t.as_slice(), *e)).collect();
        assert_eq!(
            texts,
            [
                (&b"one"[..], true),
                (b"two", true),
                (b"", true),
                (b"rest", false)
            ]
        );
    }

    #[test]
    fn long_lines_are_cut_at_16_kib() {
        let mut long = vec![b'x'; PIECE * 2];
        long.extend(b"y\n");
        let lengths: Vec<_> = split(&[&long]).iter().map(|(t, e)| (t.len(), *e)).collect();
        assert_eq!(lengths, [(PIECE, false), (PIECE, false), (1, true)]);
        // A line of exactly one piece: the line feed comes alone, as in Docker.
        let mut exact = vec![b'x'; PIECE];
        exact.push(b'\n');
        let lengths: Vec<_> = split(&[&exact])
            .iter()
            .map(|(t, e)| (t.len(), *e))
            .collect();
        assert_eq!(lengths, [(PIECE, false), (0, true)]);
    }

    #[test]
    fn pieces_of_a_line_have_one_time() {
        let clock = std::cell::Cell::new(0);
        let now = || {
            clock.set(clock.get() + 1);
            Timestamp {
                seconds: clock.get(),
                nanoseconds: 0,
            }
        };
        let mut times = Vec::new();
        let mut splitter = Splitter::default();
        let mut long = vec![b'x'; PIECE + 5];
        long.extend(b"\nnext\n");
        splitter.feed(&long, now, |piece| times.push(piece.time.seconds));
        assert_eq!(times, [1, 1, 2]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..6)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let mut joined = Vec::new();
            for (text, ends) in split(&chunks) {
                prop_assert!(text.len() <= PIECE);
                joined.extend(text);
                joined.extend(ends.then_some(b'\n'));
            }
            prop_assert_eq!(joined, chunks.concat());
        }
    }
}
