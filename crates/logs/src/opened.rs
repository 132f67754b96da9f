//! The files of a log as they are read: the newest, and those that were rotated
//! away, compressed or not.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::codec::{self, Found};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::reader::Entry;
use crate::settings::Format;
use crate::{rotation, tail};

const CHUNK: usize = 32 << 10;
/// More rotated files than any setting allows are not looked for.
const MAX_FILES: u32 = 1000;

/// A file being read. What is read but not used yet is `buffer[used..]`.
#[derive(Debug)]
pub(crate) struct Open {
    source: Source,
    identity: Identity,
    buffer: Vec<u8>,
    used: usize,
    /// Offset of the next byte to be read.
    offset: u64,
    corrupt: bool,
}

#[derive(Debug)]
enum Source {
    Plain(File),
    /// Complete for ever.
    Packed(Box<GzDecoder<BufReader<File>>>),
}

/// What is at hand in a file.
pub(crate) enum Step {
    Entry(Entry),
    /// Bytes were used up or read; look again.
    Progress,
    End,
}

impl Open {
    pub(crate) fn step(&mut self, format: Format) -> io::Result<Step> {
        if self.corrupt {
            return Ok(Step::End);
        }
        match codec::first(format, &self.buffer[self.used..]) {
            Found::Record(length, entry) => {
                self.used += length;
                Ok(entry.map_or(Step::Progress, Step::Entry))
            }
            Found::Corrupt => {
                self.corrupt = true;
                Ok(Step::End)
            }
            Found::Incomplete => self.fill(),
        }
    }

    fn fill(&mut self) -> io::Result<Step> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let file = match &mut self.source {
            Source::Plain(file) => file,
            Source::Packed(decoder) => {
                let read = decoder.take(CHUNK as u64).read_to_end(&mut self.buffer);
                // A damaged end: what came before it stands.
                self.corrupt = read.is_err();
                return Ok(match read {
                    Ok(0) => Step::End,
                    _ => Step::Progress,
                });
            }
        };
        let count = file
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut self.buffer)?;
        self.offset += count as u64;
        if count > 0 {
            return Ok(Step::Progress);
        }
        if file.metadata()?.len() < self.offset {
            // Somebody emptied the file by hand.
            self.offset = file.seek(SeekFrom::Start(0))?;
            self.buffer.clear();
            return Ok(Step::Progress);
        }
        Ok(Step::End)
    }

    /// Whether something was written since the end was seen.
    pub(crate) fn has_more(&self) -> bool {
        match &self.source {
            Source::Plain(file) => {
                let length = file.metadata().map_or(0, |metadata| metadata.len());
                !self.corrupt && length > self.offset
            }
            Source::Packed(_) => false,
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Goes to the last `wanted` records; how many there are then.
    fn start_at_last(&mut self, format: Format, wanted: usize) -> io::Result<usize> {
        match &mut self.source {
            Source::Plain(file) => {
                let (offset, found) = tail::last_records(format, file, wanted)?;
                self.offset = file.seek(SeekFrom::Start(offset))?;
                Ok(found)
            }
            Source::Packed(_) => {
                let all = self.skip(format, usize::MAX)?;
                self.rewind()?;
                let found = all.min(wanted);
                self.skip(format, all - found)?;
                Ok(found)
            }
        }
    }

    /// Skips up to `most` records; how many there were.
    fn skip(&mut self, format: Format, most: usize) -> io::Result<usize> {
        let mut skipped = 0;
        while skipped < most && !self.corrupt {
            match codec::extent(format, &self.buffer[self.used..]) {
                Found::Record(length, ()) => {
                    self.used += length;
                    skipped += 1;
                }
                Found::Corrupt => self.corrupt = true,
                Found::Incomplete => {
                    if let Step::End = self.fill()? {
                        break;
                    }
                }
            }
        }
        Ok(skipped)
    }

    fn rewind(&mut self) -> io::Result<()> {
        if let Source::Packed(decoder) = &mut self.source {
            let mut file = decoder.get_ref().get_ref().try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            **decoder = GzDecoder::new(BufReader::new(file));
        }
        self.buffer.clear();
        (self.used, self.offset, self.corrupt) = (0, 0, false);
        Ok(())
    }
}

/// Opens the file of an age, in either form; `None` when there is none. The one
/// that is not compressed comes first: it is removed only when the other is
/// complete.
fn open_at(path: &Path, age: u32) -> Result<Option<Open>> {
    let name = rotation::name(path, age);
    if let Some(file) = open_file(&name)? {
        let metadata = file
            .metadata()
            .map_err(|source| Error::io("stat", &name, source))?;
        return Ok(Some(opened(Source::Plain(file), Identity::of(&metadata))));
    }
    if age == 0 {
        return Ok(None);
    }
    let name = rotation::packed_name(path, age);
    let Some(file) = open_file(&name)? else {
        return Ok(None);
    };
    let metadata = file
        .metadata()
        .map_err(|source| Error::io("stat", &name, source))?;
    let decoder = GzDecoder::new(BufReader::new(file));
    let comment = decoder.header().and_then(|header| header.comment());
    let identity = comment
        .and_then(Identity::from_comment)
        .unwrap_or_else(|| Identity::of(&metadata));
    Ok(Some(opened(Source::Packed(Box::new(decoder)), identity)))
}

fn opened(source: Source, identity: Identity) -> Open {
    Open {
        source,
        identity,
        buffer: Vec::new(),
        used: 0,
        offset: 0,
        corrupt: false,
    }
}

fn open_file(name: &Path) -> Result<Option<File>> {
    match File::open(name) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("open", name, source)),
    }
}

/// Opens all files, and returns them oldest first. They are opened newest
/// first: a rotation meanwhile moves files towards the ages that come next, so
/// one may be met twice, but none is missed. What is newer than the first is
/// left out: there may be gaps among those.
pub(crate) fn open_all(path: &Path) -> Result<VecDeque<Open>> {
    let mut files: VecDeque<Open> = VecDeque::new();
    let mut missing = 0;
    for age in 0..MAX_FILES {
        let newest = files.back().map(Open::identity);
        match open_at(path, age)? {
            // All between the two have come since.
            Some(open) if newest == Some(open.identity) => {
                files.drain(..files.len() - 1);
            }
            Some(open) if files.iter().any(|f| f.identity == open.identity) => {}
            Some(open) if newest.is_some_and(|newest| open.identity.is_after(newest)) => {}
            Some(open) => files.push_front(open),
            // In the middle of a rotation one name may be empty.
            None => missing += 1,
        }
        if missing > 1 {
            break;
        }
    }
    Ok(files)
}

/// Drops all but the last `wanted` records.
pub(crate) fn keep_last(
    format: Format,
    files: &mut VecDeque<Open>,
    wanted: usize,
) -> io::Result<()> {
    let mut missing = wanted;
    let mut first = files.len();
    for (at, open) in files.iter_mut().enumerate().rev() {
        let newest = first == at + 1 && missing == wanted;
        if missing == 0 && !newest {
            break;
        }
        missing -= open.start_at_last(format, missing)?;
        first = at;
    }
    files.drain(..first);
    Ok(())
}

/// The file that was begun after the one of this identity was rotated away;
/// `None` while it is still the newest.
pub(crate) fn successor(path: &Path, identity: Identity) -> Result<Option<Open>> {
    let is_newest = || {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|metadata| Identity::of(&metadata) == identity)
    };
    let is_ours = |age| -> Result<bool> {
        let open = open_at(path, age)?;
        Ok(open.is_some_and(|open| open.identity == identity))
    };
    // Each try may meet a rotation; ten in a row nobody makes.
    for _ in 0..10 {
        if is_newest() {
            return Ok(None);
        }
        let mut oldest = 0;
        let mut ours = None;
        for age in 1..MAX_FILES {
            match open_at(path, age)? {
                Some(open) if open.identity == identity => {
                    ours = Some(age);
                    break;
                }
                Some(_) => oldest = age,
                // In the middle of a rotation one name may be empty.
                None if age > oldest + 1 => break,
                None => {}
            }
        }
        match ours {
            Some(age) => {
                let next = open_at(path, age - 1)?;
                if is_ours(age)? {
                    return Ok(next);
                }
            }
            // Removed already: go on with the oldest that there is.
            None => {
                for age in (0..=oldest).rev() {
                    if let Some(next) = open_at(path, age)? {
                        return Ok(Some(next));
                    }
                }
                return Ok(None);
            }
        }
    }
    Ok(None)
}
