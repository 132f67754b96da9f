//! Reading an archive, entry by entry, from a stream that is hostile.
//!
//! ```text
//!   [x: pax for one entry] [g: pax for all] [L: long name] [K: long link]   in any order
//!   header block
//!   (old GNU sparse: more blocks of the map)
//!   (sparse 1.0: the map, in front of the data)
//!   data, filled up to a whole block
//!   …
//!   two blocks of zeros
//! ```
//!
//! Invariant: no more is allocated than was read, up to [`LONGEST_RECORD`].

use std::io::{self, BufRead, Read};

use super::header::{Dialect, Header};
use super::pax::Record;
use super::sparse_map::SparseRecords;
use super::{BLOCK, Entry, Kind, LONGEST_NAME, Timestamp, number, padding, pax};
use crate::error::{Error, display};

/// Longest pax header or GNU long name; the same bound as Go's reader.
const LONGEST_RECORD: u64 = 1 << 20;

/// Reads the entries of an uncompressed archive.
pub struct Reader<R> {
    input: R,
    /// Data of the current entry not read yet.
    pub(super) remaining: u64,
    /// What fills up its last block.
    padding: u64,
    /// The current entry's name, for messages.
    pub(super) name: Vec<u8>,
    globals: Vec<Record>,
    ended: bool,
}

/// What the special entries before a header said about it.
#[derive(Default)]
struct Before {
    records: Vec<Record>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the start of an archive.
    pub fn new(input: R) -> Self {
        Self {
            input,
            remaining: 0,
            padding: 0,
            name: Vec::new(),
            globals: Vec::new(),
            ended: false,
        }
    }

    /// The next entry, or `None` at the end. What was not read of the data of
    /// the one before is skipped.
    ///
    /// # Errors
    /// `Damaged`, `Truncated`, `Unsupported`, `Limit`, `Compression`, `Read`.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let mut before = Before::default();
        loop {
            self.skip_data()?;
            let Some(block) = self.header_block()? else {
                return self.end(&before);
            };
            let header = Header::parse(&block)
                .ok_or_else(|| self.damaged("header with a wrong checksum"))?;
            match header.type_flag() {
                b'x' | b'X' => before.records = self.records(&header)?,
                b'g' => {
                    let records = self.records(&header)?;
                    self.add_globals(records);
                }
                b'L' => before.long_name = Some(self.long(&header)?),
                b'K' => before.long_link = Some(self.long(&header)?),
                // A volume's label.
                b'V' => self.begin_data(self.size_of(&header)?),
                _ => return self.entry(&header, before).map(Some),
            }
        }
    }

    /// The data of the current entry: of a sparse file only what is stored.
    pub fn data(&mut self) -> Data<'_, R> {
        Data { reader: self }
    }

    /// What follows the archive in the stream, for the one who must read all.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn end(&mut self, before: &Before) -> Result<Option<Entry>, Error> {
        self.ended = true;
        if before.records.is_empty() && before.long_name.is_none() && before.long_link.is_none() {
            Ok(None)
        } else {
            Err(self.truncated())
        }
    }

    /// The next block, or `None` at the end mark or the end of the stream.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        if self.ended || self.fill()?.is_empty() {
            return Ok(None);
        }
        let block = self.block()?;
        if block != [0; BLOCK] {
            return Ok(Some(block));
        }
        if self.fill()?.is_empty() || self.block()? == [0; BLOCK] {
            return Ok(None);
        }
        Err(self.damaged("a single block of zeros between entries"))
    }

    pub(super) fn block(&mut self) -> Result<[u8; BLOCK], Error> {
        let mut block = [0; BLOCK];
        self.read_exact(&mut block)?;
        Ok(block)
    }

    fn read_exact(&mut self, mut out: &mut [u8]) -> Result<(), Error> {
        while !out.is_empty() {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Err(self.truncated());
            }
            let count = bytes.len().min(out.len());
            out[..count].copy_from_slice(&bytes[..count]);
            self.input.consume(count);
            out = &mut out[count..];
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<&[u8], Error> {
        loop {
            match self.input.fill_buf() {
                // A second call: the borrow checker does not let the first
                // result out of the loop.
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.named(Error::from_read(error))),
            }
        }
        self.input.fill_buf().map_err(Error::from_read)
    }

    fn begin_data(&mut self, length: u64) {
        self.remaining = length;
        self.padding = padding(length);
    }

    fn skip_data(&mut self) -> Result<(), Error> {
        let mut left = self.remaining + self.padding;
        while left > 0 {
            let available = self.fill()?.len();
            if available == 0 && left <= self.padding {
                // Docker's client ends a context with the data of the Dockerfile
                // that it has added, and Go's reader takes that for the end.
                break;
            }
            if available == 0 {
                return Err(self.truncated());
            }
            let count = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.input.consume(count);
            left -= count as u64;
        }
        self.begin_data(0);
        Ok(())
    }

    fn size_of(&self, header: &Header<'_>) -> Result<u64, Error> {
        header
            .size()
            .and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| self.damaged("header with a negative or impossible size"))
    }

    /// The data of a special entry, whole.
    fn special(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Error> {
        let size = self.size_of(header)?;
        if size > LONGEST_RECORD {
            return Err(self.damaged(format!("extended header of {size} bytes")));
        }
        self.begin_data(size);
        let mut bytes = Vec::new();
        while self.remaining > 0 {
            let left = usize::try_from(self.remaining).unwrap_or(usize::MAX);
            let available = self.fill()?;
            if available.is_empty() {
                return Err(self.truncated());
            }
            let count = available.len().min(left);
            bytes.extend_from_slice(&available[..count]);
            self.input.consume(count);
            self.remaining -= count as u64;
        }
        Ok(bytes)
    }

    fn records(&mut self, header: &Header<'_>) -> Result<Vec<Record>, Error> {
        let bytes = self.special(header)?;
        pax::parse(&bytes).map_err(|reason| self.damaged(reason))
    }

    fn long(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Error> {
        let mut bytes = self.special(header)?;
        let end = bytes.iter().position(|byte| *byte == 0);
        bytes.truncate(end.unwrap_or(bytes.len()));
        Ok(bytes)
    }

    /// Keeps what may hold for all entries. A name or a size for all of them
    /// is nonsense at best.
    fn add_globals(&mut self, records: Vec<Record>) {
        for record in records {
            if matches!(record.key.as_slice(), b"mtime" | b"uid" | b"gid") {
                self.globals.retain(|global| global.key != record.key);
                self.globals.push(record);
            }
        }
    }

    fn entry(&mut self, header: &Header<'_>, before: Before) -> Result<Entry, Error> {
        self.name = before.long_name.clone().unwrap_or_else(|| header.name());
        let kind = self.kind(header)?;
        let mut entry = Entry::new(header.name(), kind);
        entry.link = header.link();
        self.fields(header, &mut entry)?;
        let mut stored = match kind {
            Kind::File => self.size_of(header)?,
            // Their size means nothing: v7 gave directories one.
            _ => 0,
        };
        let mut sparse = SparseRecords::default();
        for record in self.globals.clone().iter().chain(&before.records) {
            self.record(record, &mut entry, &mut stored, &mut sparse)?;
        }
        if let Some(name) = before.long_name {
            entry.path = name;
        }
        if let Some(link) = before.long_link {
            entry.link = link;
        }
        if let Some(name) = sparse.name.take() {
            entry.path = name;
        }
        self.name.clone_from(&entry.path);
        if kind != Kind::File {
            stored = 0;
        }
        if !matches!(kind, Kind::HardLink | Kind::Symlink) {
            entry.link.clear();
        }
        self.check_names(&entry)?;
        entry.size = stored;
        self.begin_data(stored);
        if header.type_flag() == b'S' && header.dialect() == Dialect::Gnu {
            self.old_sparse(header, &mut entry, stored)?;
        } else if kind == Kind::File {
            self.pax_sparse(sparse, &mut entry)?;
        }
        Ok(entry)
    }

    fn kind(&self, header: &Header<'_>) -> Result<Kind, Error> {
        Ok(match header.type_flag() {
            0 if self.name.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                return Err(Error::Unsupported {
                    entry: display(&self.name),
                    what: format!("entry type {:?}", char::from(other)),
                });
            }
        })
    }

    fn fields(&self, header: &Header<'_>, entry: &mut Entry) -> Result<(), Error> {
        let mode = header.mode().ok_or_else(|| self.damaged("bad mode"))?;
        entry.mode = (mode & 0o7777) as u32;
        entry.uid = self.id(header.uid(), "bad owner")?;
        entry.gid = self.id(header.gid(), "bad group")?;
        entry.mtime = Timestamp {
            seconds: header.mtime().ok_or_else(|| self.damaged("bad time"))?,
            nanoseconds: 0,
        };
        if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
            let device = header.device().and_then(|(major, minor)| {
                Some((u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
            });
            entry.device = device.ok_or_else(|| self.damaged("bad device number"))?;
        }
        Ok(())
    }

    /// A user or group id. The kernel takes the highest one for "no change".
    fn id(&self, value: Option<i64>, reason: &'static str) -> Result<u32, Error> {
        value
            .and_then(|id| u32::try_from(id).ok())
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| self.damaged(reason))
    }

    fn record(
        &self,
        record: &Record,
        entry: &mut Entry,
        stored: &mut u64,
        sparse: &mut SparseRecords,
    ) -> Result<(), Error> {
        let value = record.value.as_slice();
        if let Some(name) = record.key.strip_prefix(pax::XATTR) {
            entry.xattrs.insert(name.to_vec(), value.to_vec());
            return Ok(());
        }
        // An empty value takes an override back (POSIX).
        if value.is_empty() && !record.key.starts_with(b"GNU.sparse.") {
            return Ok(());
        }
        let number = || {
            number::parse_decimal(value)
                .filter(|number| i64::try_from(*number).is_ok())
                .ok_or_else(|| self.damaged(format!("bad pax record {}", display(&record.key))))
        };
        let id = || self.id(number()?.try_into().ok(), "bad owner in a pax record");
        match record.key.as_slice() {
            b"path" => entry.path = value.to_vec(),
            b"linkpath" => entry.link = value.to_vec(),
            b"size" => *stored = number()?,
            b"uid" => entry.uid = id()?,
            b"gid" => entry.gid = id()?,
            b"mtime" => {
                entry.mtime = number::parse_time(value)
                    .ok_or_else(|| self.damaged("bad time in a pax record"))?;
            }
            b"GNU.sparse.major" => sparse.major = Some(number()?),
            b"GNU.sparse.minor" => sparse.minor = Some(number()?),
            b"GNU.sparse.size" => sparse.size = Some(number()?),
            b"GNU.sparse.realsize" => sparse.real_size = Some(number()?),
            b"GNU.sparse.name" => sparse.name = Some(value.to_vec()),
            b"GNU.sparse.map" => sparse.map = Some(value.to_vec()),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let map = sparse.map.get_or_insert_default();
                if !map.is_empty() {
                    map.push(b',');
                }
                map.extend_from_slice(value);
            }
            _ => {}
        }
        Ok(())
    }

    fn check_names(&self, entry: &Entry) -> Result<(), Error> {
        for name in [&entry.path, &entry.link] {
            if name.contains(&0) {
                return Err(self.damaged("name with a NUL"));
            }
            if name.len() > LONGEST_NAME {
                return Err(self.damaged(format!("name of {} bytes is too long", name.len())));
            }
        }
        Ok(())
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::damaged(&self.name, reason)
    }

    fn truncated(&self) -> Error {
        Error::Truncated {
            entry: display(&self.name),
        }
    }

    /// A limit that was reached names the entry that did it.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Limit { limit, value, .. } => Error::Limit {
                limit,
                value,
                entry: display(&self.name),
            },
            other => other,
        }
    }
}

/// The data of the current entry.
pub struct Data<'r, R> {
    reader: &'r mut Reader<R>,
}

impl<R: BufRead> Data<'_, R> {
    /// The next piece, empty at the end: the bytes lie in the reader's buffer
    /// and are copied by nobody.
    ///
    /// # Errors
    /// `Truncated`, `Limit`, `Compression`, `Read`.
    pub fn chunk(&mut self) -> Result<&[u8], Error> {
        if self.reader.remaining == 0 {
            return Ok(&[]);
        }
        let left = usize::try_from(self.reader.remaining).unwrap_or(usize::MAX);
        let count = self.reader.fill()?.len().min(left);
        if count == 0 {
            return Err(self.reader.truncated());
        }
        Ok(&self.reader.fill()?[..count])
    }

    /// Marks `count` bytes of the last [`chunk`](Self::chunk) as read.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(usize::try_from(self.reader.remaining).unwrap_or(usize::MAX));
        self.reader.input.consume(count);
        self.reader.remaining -= count as u64;
    }
}

impl<R: BufRead> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.chunk().map_err(Error::into_io)?;
        let count = chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&chunk[..count]);
        self.advance(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one file, cut to `length` bytes.
    fn names(length: usize) -> Result<Vec<Vec<u8>>, Error> {
        let mut header = [0; BLOCK];
        header[..4].copy_from_slice(b"file");
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(b"00000000003");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut archive = header.to_vec();
        archive.extend_from_slice(b"abc");
        archive.resize(4 * BLOCK, 0);
        let mut reader = Reader::new(&archive[..length]);
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            names.push(entry.path);
        }
        Ok(names)
    }

    #[test]
    fn an_archive_may_end_with_its_last_byte_of_data() {
        let whole = 4 * BLOCK;
        for length in [whole, 2 * BLOCK, BLOCK + 100, BLOCK + 3] {
            assert_eq!(names(length).unwrap(), [b"file".to_vec()], "{length}");
        }
        for length in [BLOCK + 2, BLOCK, BLOCK - 1] {
            assert!(
                matches!(names(length), Err(Error::Truncated { .. })),
                "{length}"
            );
        }
    }
}
