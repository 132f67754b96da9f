//! Packs: many objects in one file, some of them as deltas of others.
//!
//! All of a pack is checked when it is opened: each object's contents have the name by
//! which it is found afterwards.

mod cache;
mod entry;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use gantry_registry::Cancel;

use crate::delta;
use crate::error::{Error, Result};
use crate::id::{ObjectId, Sha1};
use crate::inflate::Inflater;
use cache::Cache;
pub(crate) use entry::Kind;
use entry::{Base, Entry};

/// The most objects.
const MAX_OBJECTS: u32 = 4 << 20;
/// The most that is in memory of one object; larger ones are never deltas.
pub(crate) const MAX_IN_MEMORY: u64 = 256 << 20;
/// The most that is unpacked, and the most that is computed of deltas.
const MAX_UNPACKED: u64 = 32 << 30;
const MAX_WORK: u64 = 64 << 30;
/// How many deltas may stand on each other, as in git.
const MAX_DEPTH: usize = 4095;
/// What is before the objects, and behind them.
const HEAD: u64 = 12;
const TAIL: u64 = ObjectId::LENGTH as u64;
/// How much of the file is read at a time, from its beginning to its end, and here and there.
const LONG: usize = 256 << 10;
const SHORT: usize = 8 << 10;

/// The objects of one pack.
pub(crate) struct Pack {
    file: File,
    length: u64,
    /// In the order of the file.
    entries: Vec<Entry>,
    /// The same by their names.
    sorted: Vec<u32>,
    checksum: ObjectId,
    cancel: Cancel,
    inflater: Inflater,
    cache: Cache,
    unpacked: u64,
    work: u64,
}

impl Pack {
    /// Reads and checks a pack.
    ///
    /// # Errors
    /// `Damaged` for whatever is wrong with it; `Cancelled`.
    pub(crate) fn open(file: File, cancel: &Cancel) -> Result<Self> {
        let length = file.metadata().map_err(Error::io("reading a pack"))?.len();
        let mut pack = Self {
            checksum: checksum(&file, length, cancel)?,
            file,
            length,
            entries: Vec::new(),
            sorted: Vec::new(),
            cancel: cancel.clone(),
            inflater: Inflater::new(),
            cache: Cache::default(),
            unpacked: 0,
            work: 0,
        };
        pack.scan()?;
        pack.resolve()?;
        let mut sorted: Vec<u32> = (0..).take(pack.entries.len()).collect();
        sorted.sort_by_key(|index| pack.entries[*index as usize].id);
        pack.sorted = sorted;
        Ok(pack)
    }

    /// Reads every entry; the names of those that are no deltas are known then.
    fn scan(&mut self) -> Result<()> {
        let mut source = self.file.try_clone().map_err(Error::io("reading a pack"))?;
        let back = source.seek(SeekFrom::Start(0));
        back.map_err(Error::io("reading a pack"))?;
        let end = self.length.checked_sub(TAIL).ok_or_else(short)?;
        let mut source = BufReader::with_capacity(LONG, source.take(end));
        let mut head = [0; HEAD as usize];
        source.read_exact(&mut head).map_err(|_| short())?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if &head[..4] != b"PACK" || !matches!(word(4), 2 | 3) {
            return Err(Error::damaged("not a pack"));
        }
        let count = word(8);
        if count > MAX_OBJECTS {
            return Err(Error::damaged(format!("{count} objects are too many")));
        }
        let mut offset = HEAD;
        for _ in 0..count {
            let mut entry = entry::read_head(&mut source, offset)?;
            self.unpacked = self.unpacked.saturating_add(entry.size);
            if self.unpacked > MAX_UNPACKED {
                return Err(Error::damaged("the objects are too large"));
            }
            let mut hasher = match entry.base {
                Base::None => Some(Sha1::of_object(entry.kind.name(), entry.size)),
                _ => None,
            };
            let taken = self
                .inflater
                .inflate(&mut source, entry.size, &mut |piece| {
                    if let Some(hasher) = &mut hasher {
                        hasher.update(piece);
                    }
                    check(&self.cancel)
                })?;
            if let Some(hasher) = hasher {
                entry.id = hasher.finish();
                entry.known = true;
            }
            offset = entry.data + taken;
            self.entries.push(entry);
        }
        match offset == end && source.fill_buf().is_ok_and(<[u8]>::is_empty) {
            true => Ok(()),
            false => Err(Error::damaged("something is behind the last object")),
        }
    }

    /// Finds the names of all deltas, from what they stand on upwards.
    fn resolve(&mut self) -> Result<()> {
        let (mut by_place, mut by_id) = (Vec::new(), Vec::new());
        for (index, entry) in (0u32..).zip(&self.entries) {
            match entry.base {
                Base::None => {}
                Base::At(offset) => {
                    let found = self
                        .entries
                        .binary_search_by_key(&offset, |entry| entry.offset);
                    let base = found.map_err(|_| Error::damaged("a delta stands on nothing"))?;
                    by_place.push((base, index));
                }
                Base::Named(id) => by_id.push((id, index)),
            }
        }
        by_place.sort_unstable();
        by_id.sort_unstable();
        let known = (0..self.entries.len()).filter(|index| self.entries[*index].known);
        let mut ready: Vec<usize> = known.collect();
        while let Some(base) = ready.pop() {
            let id = self.entries[base].id;
            let above = by_place[by_place.partition_point(|(at, _)| *at < base)..].iter();
            let above = above
                .take_while(|(at, _)| *at == base)
                .map(|(_, child)| *child);
            let named = by_id[by_id.partition_point(|(at, _)| *at < id)..].iter();
            let named = named
                .take_while(|(at, _)| *at == id)
                .map(|(_, child)| *child);
            for child in above.chain(named) {
                let child = child as usize;
                if self.entries[child].known {
                    continue;
                }
                self.entries[child].stands_on = u32::try_from(base).ok();
                self.entries[child].kind = self.entries[base].kind;
                let data = self.load(child)?;
                self.unpacked = self.unpacked.saturating_add(data.len() as u64);
                if self.unpacked > MAX_UNPACKED {
                    return Err(Error::damaged("the objects are too large"));
                }
                let entry = &mut self.entries[child];
                let mut hasher = Sha1::of_object(entry.kind.name(), data.len() as u64);
                hasher.update(&data);
                entry.id = hasher.finish();
                entry.known = true;
                ready.push(child);
            }
        }
        match self.entries.iter().all(|entry| entry.known) {
            true => Ok(()),
            false => Err(Error::damaged(
                "a delta stands on an object that did not come",
            )),
        }
    }

    /// The whole of an object.
    fn load(&mut self, index: usize) -> Result<Rc<Vec<u8>>> {
        let mut chain = Vec::new();
        let mut at = index;
        let mut data = loop {
            if let Some(data) = self.cache.get(at) {
                break data;
            }
            match self.entries[at].stands_on {
                None => break Rc::new(self.raw(at)?),
                Some(base) => {
                    chain.push(at);
                    at = base as usize;
                }
            }
            if chain.len() > MAX_DEPTH {
                return Err(Error::damaged("too many deltas stand on each other"));
            }
        };
        if chain.is_empty() {
            self.cache.put(at, &data);
        }
        while let Some(next) = chain.pop() {
            check(&self.cancel)?;
            let delta = self.raw(next)?;
            self.work = self.work.saturating_add(delta::result_size(&delta)?);
            if self.work > MAX_WORK {
                return Err(Error::damaged("its deltas are too much work"));
            }
            data = Rc::new(delta::apply(&data, &delta, MAX_IN_MEMORY)?);
            self.cache.put(next, &data);
        }
        Ok(data)
    }

    /// What stands in the file for an entry, decompressed.
    fn raw(&mut self, index: usize) -> Result<Vec<u8>> {
        let size = self.entries[index].size;
        if size > MAX_IN_MEMORY {
            return Err(Error::damaged(format!(
                "an object of {size} bytes in a delta"
            )));
        }
        let mut data = Vec::new();
        self.stream(index, &mut |piece| {
            data.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(data)
    }

    fn stream(&mut self, index: usize, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let entry = &self.entries[index];
        let capacity = if entry.size < SHORT as u64 {
            SHORT
        } else {
            LONG
        };
        let source = At {
            file: &self.file,
            position: entry.data,
        };
        let mut source = BufReader::with_capacity(capacity, source);
        self.inflater.inflate(&mut source, entry.size, sink)?;
        Ok(())
    }

    fn find(&self, id: ObjectId) -> Option<usize> {
        let by_id = |index: &u32| self.entries[*index as usize].id;
        let found = self.sorted.binary_search_by_key(&id, by_id).ok()?;
        Some(self.sorted[found] as usize)
    }

    /// What an object is; nothing for one that did not come.
    pub(crate) fn kind(&self, id: ObjectId) -> Option<Kind> {
        self.find(id).map(|index| self.entries[index].kind)
    }

    /// An object of a kind, as long as it is of a bounded length.
    pub(crate) fn read(&mut self, id: ObjectId, kind: Kind, most: u64) -> Result<Rc<Vec<u8>>> {
        let index = self.of_kind(id, kind)?;
        if self.entries[index].stands_on.is_none() && self.entries[index].size > most {
            return Err(Error::damaged(format!(
                "the {} {id} is too long",
                kind.name()
            )));
        }
        let data = self.load(index)?;
        match data.len() as u64 > most {
            true => Err(Error::damaged(format!(
                "the {} {id} is too long",
                kind.name()
            ))),
            false => Ok(data),
        }
    }

    /// Hands a file's contents over, piece by piece.
    pub(crate) fn blob(
        &mut self,
        id: ObjectId,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let index = self.of_kind(id, Kind::Blob)?;
        match self.entries[index].stands_on {
            None => self.stream(index, sink),
            Some(_) => sink(&self.load(index)?),
        }
    }

    fn of_kind(&self, id: ObjectId, kind: Kind) -> Result<usize> {
        let found = self
            .find(id)
            .filter(|index| self.entries[*index].kind == kind);
        found.ok_or_else(|| Error::damaged(format!("the {} {id} did not come", kind.name())))
    }

    /// For an index of the pack: the name, the place and the end of each object, by name.
    pub(crate) fn places(&self) -> impl Iterator<Item = (ObjectId, u64, u64)> {
        self.sorted.iter().map(|index| {
            let index = *index as usize;
            let next = self.entries.get(index + 1);
            let end = next.map_or(self.length - TAIL, |next| next.offset);
            (self.entries[index].id, self.entries[index].offset, end)
        })
    }

    /// The bytes as they came, and their checksum.
    pub(crate) fn file(&self) -> (&File, ObjectId) {
        (&self.file, self.checksum)
    }
}

/// Reads a file from a place on.
pub(crate) struct At<'f> {
    pub(crate) file: &'f File,
    pub(crate) position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// Compares the end of the file with what is before it.
fn checksum(file: &File, length: u64, cancel: &Cancel) -> Result<ObjectId> {
    let reading = || Error::io("reading a pack");
    let end = length.checked_sub(TAIL).ok_or_else(short)?;
    let mut source = At { file, position: 0 }.take(end);
    let mut hasher = Sha1::new();
    let mut piece = vec![0; LONG];
    loop {
        check(cancel)?;
        match source.read(&mut piece).map_err(reading())? {
            0 => break,
            count => hasher.update(&piece[..count]),
        }
    }
    let mut told = [0; TAIL as usize];
    file.read_exact_at(&mut told, end).map_err(reading())?;
    let found = hasher.finish();
    match found.as_bytes() == told {
        true => Ok(found),
        false => Err(Error::damaged("the checksum of a pack does not fit")),
    }
}

pub(crate) fn check(cancel: &Cancel) -> Result<()> {
    match cancel.is_cancelled() {
        true => Err(Error::Cancelled),
        false => Ok(()),
    }
}

fn short() -> Error {
    Error::damaged("a pack is cut off")
}

/// A pack with the checksum that belongs to it.
#[cfg(any(fuzzing, test))]
pub fn closed(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Sha1::new();
    hasher.update(bytes);
    [bytes, hasher.finish().as_bytes()].concat()
}

/// Opens a pack, and reads each object of it: for what tries to break that.
#[cfg(any(fuzzing, test))]
pub fn read_all(file: File) -> Result<usize> {
    let mut pack = Pack::open(file, &Cancel::new())?;
    for index in 0..pack.entries.len() {
        pack.load(index)?;
    }
    Ok(pack.entries.len())
}

#[cfg(test)]
mod tests;
