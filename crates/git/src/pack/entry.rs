//! What stands before each object of a pack.

use std::io::BufRead;

use crate::error::{Error, Result};
use crate::id::ObjectId;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    /// As names of objects have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// What an object is a delta of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    None,
    At(u64),
    Named(ObjectId),
}

/// An object of a pack.
pub(super) struct Entry {
    /// Where it begins, and where its compressed bytes do.
    pub(super) offset: u64,
    pub(super) data: u64,
    /// How many bytes these become.
    pub(super) size: u64,
    pub(super) base: Base,
    /// Of a delta, when what it stands on is found.
    pub(super) stands_on: Option<u32>,
    pub(super) kind: Kind,
    pub(super) id: ObjectId,
    /// Whether kind and name are known.
    pub(super) known: bool,
}

/// Reads what stands before an object.
pub(super) fn read_head(source: &mut dyn BufRead, offset: u64) -> Result<Entry> {
    let mut taken = 0;
    let mut byte = || -> Result<u8> {
        let mut one = [0];
        let read = std::io::Read::read_exact(source, &mut one);
        read.map_err(|_| Error::damaged("a pack is cut off"))?;
        taken += 1;
        Ok(one[0])
    };
    let first = byte()?;
    let mut size = u64::from(first & 0x0f);
    let (mut more, mut shift) = (first & 0x80 != 0, 4);
    while more {
        let next = byte()?;
        if shift > 57 {
            return Err(Error::damaged("an object's size makes no sense"));
        }
        size |= u64::from(next & 0x7f) << shift;
        (more, shift) = (next & 0x80 != 0, shift + 7);
    }
    let (mut kind, mut base) = (Kind::Blob, Base::None);
    match first >> 4 & 7 {
        1 => kind = Kind::Commit,
        2 => kind = Kind::Tree,
        3 => {}
        4 => kind = Kind::Tag,
        6 => base = Base::At(before(offset, &mut byte)?),
        7 => {
            let mut name = [0; ObjectId::LENGTH];
            for place in &mut name {
                *place = byte()?;
            }
            base = Base::Named(ObjectId::from_bytes(&name).unwrap_or_default());
        }
        other => return Err(Error::damaged(format!("an object of kind {other}"))),
    }
    Ok(Entry {
        offset,
        data: offset + taken,
        size,
        base,
        stands_on: None,
        kind,
        id: ObjectId::default(),
        known: false,
    })
}

/// A place before this one, told as the way back.
fn before(offset: u64, byte: &mut impl FnMut() -> Result<u8>) -> Result<u64> {
    let wrong = || Error::damaged("a delta stands on nothing");
    let mut next = byte()?;
    let mut back = u64::from(next & 0x7f);
    while next & 0x80 != 0 {
        next = byte()?;
        back = back
            .checked_add(1)
            .filter(|back| *back < 1 << 56)
            .ok_or_else(wrong)?;
        back = back << 7 | u64::from(next & 0x7f);
    }
    offset
        .checked_sub(back)
        .filter(|_| back > 0)
        .ok_or_else(wrong)
}
