//! Records in a buffer or a file, whichever the format.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::reader::Entry;
use crate::settings::Format;
use crate::{json, local};

/// A longer record is rubbish: ours are 16 KiB of text, six times that when
/// every byte is escaped, and attributes.
pub(crate) const MAX_RECORD: usize = 4 << 20;

/// What stands at the start of a buffer.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// So many bytes are one record.
    Record(usize, T),
    /// Too little for a record.
    Incomplete,
    /// Nothing that follows can be read.
    Corrupt,
}

/// Reads the record at the start of `buffer`; it may make no sense.
pub(crate) fn first(format: Format, buffer: &[u8]) -> Found<Option<Entry>> {
    match extent(format, buffer) {
        Found::Record(length, ()) => {
            let entry = match format {
                Format::JsonFile => json::decode(&buffer[..length - 1]),
                Format::Local => local::decode(&buffer[local::LENGTH..length - local::LENGTH]),
                Format::None => None,
            };
            Found::Record(length, entry)
        }
        Found::Incomplete => Found::Incomplete,
        Found::Corrupt => Found::Corrupt,
    }
}

/// How long the record at the start of `buffer` is.
pub(crate) fn extent(format: Format, buffer: &[u8]) -> Found<()> {
    match format {
        Format::JsonFile => match buffer.iter().position(|&b| b == b'\n') {
            Some(end) => Found::Record(end + 1, ()),
            None if buffer.len() > MAX_RECORD => Found::Record(buffer.len(), ()),
            None => Found::Incomplete,
        },
        Format::Local => local_extent(buffer),
        Format::None => Found::Incomplete,
    }
}

fn local_extent(buffer: &[u8]) -> Found<()> {
    let Some(length) = local::announced(buffer) else {
        return Found::Incomplete;
    };
    if length > MAX_RECORD {
        return Found::Corrupt;
    }
    let whole = length + 2 * local::LENGTH;
    match buffer.get(..whole) {
        None => Found::Incomplete,
        Some(record) if local::announced(&record[whole - local::LENGTH..]) == Some(length) => {
            Found::Record(whole, ())
        }
        Some(_) => Found::Corrupt,
    }
}

/// Makes a file that a crash may have torn fit for appending, and returns its size.
pub(crate) fn mend(format: Format, file: &mut File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    if size == 0 {
        return Ok(0);
    }
    match format {
        Format::JsonFile => {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last == *b"\n" {
                return Ok(size);
            }
            file.write_all(b"\n")?;
            Ok(size + 1)
        }
        Format::Local => {
            let whole = whole_records(file)?.last().map_or(0, |record| record.end);
            if whole != size {
                file.set_len(whole)?;
            }
            Ok(whole)
        }
        Format::None => Ok(size),
    }
}

/// Where the records of a `local` file are, from the start up to its end or to
/// the first thing that is not one. Reads only the lengths.
pub(crate) fn whole_records(file: &mut File) -> io::Result<Vec<std::ops::Range<u64>>> {
    let size = file.metadata()?.len();
    let ends = local::LENGTH as u64;
    let mut records = Vec::new();
    let mut at = 0;
    while at + 2 * ends <= size {
        let Some(length) = length_at(file, at)? else {
            break;
        };
        let end = at + length + 2 * ends;
        if length > MAX_RECORD as u64 || end > size || length_at(file, end - ends)? != Some(length)
        {
            break;
        }
        records.push(at..end);
        at = end;
    }
    Ok(records)
}

/// The length that stands at an offset of a `local` file.
pub(crate) fn length_at(file: &mut File, offset: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; local::LENGTH];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut bytes)?;
    Ok(local::announced(&bytes).map(|length| length as u64))
}
