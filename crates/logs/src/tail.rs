//! Where the last records of a file begin.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::codec;
use crate::local;
use crate::settings::Format;

const BLOCK: u64 = 64 << 10;

/// The offset at which the last `wanted` records begin, and how many there are
/// from there to the end: fewer when the file has fewer. A record that is not
/// yet whole does not count.
pub(crate) fn last_records(
    format: Format,
    file: &mut File,
    wanted: usize,
) -> io::Result<(u64, usize)> {
    match format {
        Format::JsonFile => last_lines(file, wanted),
        Format::Local => last_local(file, wanted),
        Format::None => Ok((0, 0)),
    }
}

/// Reads backwards and counts line feeds; the first one from the end closes the
/// last whole line, the next one stands before it, and so on.
fn last_lines(file: &mut File, wanted: usize) -> io::Result<(u64, usize)> {
    let size = file.metadata()?.len();
    let mut block_end = size;
    let mut line_feeds = 0;
    let mut block = Vec::new();
    while block_end > 0 {
        let block_start = block_end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(block_start))?;
        block.clear();
        file.by_ref()
            .take(block_end - block_start)
            .read_to_end(&mut block)?;
        for (at, _) in block.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            if line_feeds == wanted {
                return Ok((block_start + at as u64 + 1, wanted));
            }
            line_feeds += 1;
        }
        block_end = block_start;
    }
    Ok((0, line_feeds))
}

fn last_local(file: &mut File, wanted: usize) -> io::Result<(u64, usize)> {
    let size = file.metadata()?.len();
    let ends = local::LENGTH as u64;
    let mut start = size;
    let mut found = 0;
    while found < wanted && start > 0 {
        let before = match start.checked_sub(ends) {
            Some(offset) => codec::length_at(file, offset)?,
            None => None,
        };
        let record_start = before.and_then(|length| start.checked_sub(length + 2 * ends));
        match record_start {
            Some(at) if codec::length_at(file, at)? == before => start = at,
            // The end is torn, or being written: walk from the start instead.
            _ => return last_local_from_start(file, wanted),
        }
        found += 1;
    }
    Ok((start, found))
}

fn last_local_from_start(file: &mut File, wanted: usize) -> io::Result<(u64, usize)> {
    let records = codec::whole_records(file)?;
    let first = records.len().saturating_sub(wanted);
    let end = records.last().map_or(0, |record| record.end);
    let start = records.get(first).map_or(end, |record| record.start);
    Ok((start, records.len() - first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn lines_are_counted_from_the_end() {
        let text = b"1\n22\n333\nunfinished";
        let cases = [
            (0, (9, 0)),
            (1, (5, 1)),
            (2, (2, 2)),
            (3, (0, 3)),
            (9, (0, 3)),
        ];
        for (wanted, answer) in cases {
            assert_eq!(
                last_lines(&mut file(text), wanted).unwrap(),
                answer,
                "{wanted}"
            );
        }
        assert_eq!(last_lines(&mut file(b""), 3).unwrap(), (0, 0));
    }

    #[test]
    fn lines_may_be_longer_than_a_block() {
        let mut text = vec![b'x'; 200_000];
        text.extend(b"\nlast\n");
        assert_eq!(last_lines(&mut file(&text), 1).unwrap(), (200_001, 1));
        assert_eq!(last_lines(&mut file(&text), 2).unwrap(), (0, 2));
    }
}
