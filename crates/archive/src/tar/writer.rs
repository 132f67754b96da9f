//! Writing an archive: ustar headers, and pax records only for what those
//! cannot say, so that the same entries always give the same bytes.

use std::io::{self, Read};

use super::{BLOCK, Entry, Extent, Kind, Output, Timestamp, number, padding, pax};
use crate::error::Error;

/// Writes entries to an uncompressed archive.
pub struct Writer<O: Output> {
    output: O,
}

impl<O: Output> Writer<O> {
    /// A writer of an archive that begins at once.
    pub fn new(output: O) -> Self {
        Self { output }
    }

    /// Writes one entry. `data` gives what [`Entry::stored`] promises; when it
    /// ends early (the file shrank meanwhile) zeros take its place.
    ///
    /// # Errors
    /// `Write` when the output fails, `Read` when the data does.
    pub fn append(&mut self, entry: &Entry, data: impl Read) -> Result<(), Error> {
        let map = entry.extents.as_deref().map(sparse_map);
        let stored = entry.stored() + map.as_ref().map_or(0, |map| map.len() as u64);
        let mut header = [0; BLOCK];
        let mut records = Vec::new();
        fill(&mut header, entry, stored, &mut records);
        if !records.is_empty() {
            self.extended(&records)?;
        }
        self.write(&header)?;
        if let Some(map) = map {
            self.write(&map)?;
        }
        if entry.kind == Kind::File {
            self.data(entry.stored(), data)?;
            self.zeros(padding(stored))?;
        }
        Ok(())
    }

    /// Writes the end mark and gives the output back.
    ///
    /// # Errors
    /// `Write` when the output fails.
    pub fn finish(mut self) -> Result<O, Error> {
        self.zeros(2 * BLOCK as u64)?;
        Ok(self.output)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.output
            .put(bytes)
            .map_err(|source| Error::Write { source })
    }

    fn zeros(&mut self, count: u64) -> Result<(), Error> {
        self.fill(io::repeat(0), count).map(drop)
    }

    fn fill(&mut self, data: impl Read, length: u64) -> Result<u64, Error> {
        self.output
            .fill(data, length)
            .map_err(|source| Error::Write { source })?
            .map_err(|source| Error::Read { source })
    }

    fn data(&mut self, length: u64, data: impl Read) -> Result<(), Error> {
        let there = self.fill(data, length)?;
        self.zeros(length - there)
    }

    /// The pax header of the entry that follows.
    fn extended(&mut self, records: &[u8]) -> Result<(), Error> {
        let mut header = [0; BLOCK];
        let mut entry = Entry::new(*b"PaxHeaders/entry", Kind::File);
        entry.mode = 0o644;
        fill(&mut header, &entry, records.len() as u64, &mut Vec::new());
        header[156] = b'x';
        seal(&mut header);
        self.write(&header)?;
        self.write(records)?;
        self.zeros(padding(records.len() as u64))
    }
}

/// Fills a ustar header; what does not fit becomes pax records.
fn fill(header: &mut [u8; BLOCK], entry: &Entry, stored: u64, records: &mut Vec<u8>) {
    let mut record = |key: &[u8], value: &[u8]| pax::append(records, key, value);
    if entry.extents.is_some() {
        record(b"GNU.sparse.major", b"1");
        record(b"GNU.sparse.minor", b"0");
        record(b"GNU.sparse.name", &entry.path);
        record(b"GNU.sparse.realsize", entry.size.to_string().as_bytes());
    }
    if !fill_name(header, &entry.path) {
        record(b"path", &entry.path);
        header[..100].copy_from_slice(&entry.path[..100]);
    }
    if entry.link.len() > 100 {
        record(b"linkpath", &entry.link);
    }
    let link = &entry.link[..entry.link.len().min(100)];
    header[157..157 + link.len()].copy_from_slice(link);
    number::write_octal(&mut header[100..108], u64::from(entry.mode));
    if !number::write_octal(&mut header[108..116], u64::from(entry.uid)) {
        record(b"uid", entry.uid.to_string().as_bytes());
    }
    if !number::write_octal(&mut header[116..124], u64::from(entry.gid)) {
        record(b"gid", entry.gid.to_string().as_bytes());
    }
    let size = if entry.kind == Kind::File { stored } else { 0 };
    if !number::write_octal(&mut header[124..136], size) {
        record(b"size", size.to_string().as_bytes());
    }
    if !fill_time(&mut header[136..148], entry.mtime) {
        record(b"mtime", number::format_time(entry.mtime).as_bytes());
    }
    header[156] = match entry.kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    };
    header[257..265].copy_from_slice(b"ustar\x0000");
    if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
        // Linux has 12 and 20 bits for them: they always fit.
        number::write_octal(&mut header[329..337], u64::from(entry.device.0));
        number::write_octal(&mut header[337..345], u64::from(entry.device.1));
    }
    for (name, value) in &entry.xattrs {
        record(&[pax::XATTR, name].concat(), value);
    }
    seal(header);
}

/// Whether the name fits, if need be split into prefix and name.
fn fill_name(header: &mut [u8; BLOCK], path: &[u8]) -> bool {
    if path.len() <= 100 {
        header[..path.len()].copy_from_slice(path);
        return true;
    }
    // The longest prefix that leaves a name: readers join them with a slash.
    let end = path.len().saturating_sub(1).min(156);
    let Some(slash) = path[..end].iter().rposition(|byte| *byte == b'/') else {
        return false;
    };
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    if prefix.is_empty() || prefix.len() > 155 || name.len() > 100 {
        return false;
    }
    header[..name.len()].copy_from_slice(name);
    header[345..345 + prefix.len()].copy_from_slice(prefix);
    true
}

/// Writes the time; whether that says it exactly.
fn fill_time(field: &mut [u8], time: Timestamp) -> bool {
    match u64::try_from(time.seconds) {
        Ok(seconds) => number::write_octal(field, seconds) && time.nanoseconds == 0,
        Err(_) => {
            number::write_octal(field, 0);
            false
        }
    }
}

/// Writes the checksum.
fn seal(header: &mut [u8; BLOCK]) {
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    number::write_octal(&mut header[148..155], sum);
}

/// The map of the sparse format 1.0, filled up to whole blocks.
fn sparse_map(extents: &[Extent]) -> Vec<u8> {
    let mut map = format!("{}\n", extents.len()).into_bytes();
    for extent in extents {
        map.extend_from_slice(format!("{}\n{}\n", extent.offset, extent.length).as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}
