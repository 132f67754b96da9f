//! The reading of sparse maps, wherever the four formats put them: in the
//! header and blocks behind it, in pax records, or in front of the data.

use std::io::BufRead;

use super::header::Header;
use super::reader::Reader;
use super::sparse::{self, Extent};
use super::{BLOCK, Entry, number};
use crate::error::{Error, display};

/// What pax records say that is not simply a field of [`Entry`].
#[derive(Default)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) real_size: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) map: Option<Vec<u8>>,
}

/// The block of a sparse map that is being read.
#[derive(Default)]
struct Lines {
    block: Vec<u8>,
    place: usize,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn old_sparse(
        &mut self,
        header: &Header<'_>,
        entry: &mut Entry,
        stored: u64,
    ) -> Result<(), Error> {
        let size = header
            .gnu_real_size()
            .and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| self.damaged("bad size of a sparse file"))?;
        let (places, mut more) = header.gnu_sparse_map();
        let mut extents = Vec::new();
        sparse::parse_old(places, &mut extents).map_err(|reason| self.damaged(reason))?;
        let mut blocks = 0;
        while more {
            let block = self.block()?;
            sparse::parse_old(&block[..504], &mut extents)
                .map_err(|reason| self.damaged(reason))?;
            more = block[504] != 0;
            blocks += 1;
            if blocks > sparse::MOST_EXTENTS {
                return Err(self.damaged("sparse map is too long"));
            }
        }
        self.set_extents(entry, extents, size, stored)
    }

    pub(super) fn pax_sparse(
        &mut self,
        sparse: SparseRecords,
        entry: &mut Entry,
    ) -> Result<(), Error> {
        let extents = match (sparse.major, sparse.minor) {
            (Some(1), Some(0)) => self.sparse_1_0()?,
            (None | Some(0), _) => match &sparse.map {
                Some(map) => sparse::parse_list(map).map_err(|reason| self.damaged(reason))?,
                None if sparse.size.is_some() && entry.size == 0 => Vec::new(),
                None => return Ok(()),
            },
            _ => {
                return Err(Error::Unsupported {
                    entry: display(&self.name),
                    what: "this version of the sparse format".to_owned(),
                });
            }
        };
        let size = sparse
            .real_size
            .or(sparse.size)
            .ok_or_else(|| self.damaged("sparse file without its size"))?;
        let stored = self.remaining;
        self.set_extents(entry, extents, size, stored)
    }

    /// The map in front of the data: a count, then offset and length each on a
    /// line, filled up to a whole block.
    fn sparse_1_0(&mut self) -> Result<Vec<Extent>, Error> {
        let mut extents = Vec::new();
        let mut lines = Lines::default();
        let count = self.map_number(&mut lines)?;
        for _ in 0..count {
            let offset = self.map_number(&mut lines)?;
            let length = self.map_number(&mut lines)?;
            sparse::push(&mut extents, offset, length).map_err(|reason| self.damaged(reason))?;
        }
        Ok(extents)
    }

    fn map_number(&mut self, lines: &mut Lines) -> Result<u64, Error> {
        let mut digits = Vec::new();
        loop {
            if lines.place == lines.block.len() {
                let left = self.remaining.checked_sub(BLOCK as u64);
                self.remaining = left.ok_or_else(|| self.damaged("sparse map is cut off"))?;
                lines.block = self.block()?.to_vec();
                lines.place = 0;
            }
            let byte = lines.block[lines.place];
            lines.place += 1;
            if byte == b'\n' {
                break;
            }
            digits.push(byte);
            if digits.len() > 20 {
                break;
            }
        }
        number::parse_decimal(&digits).ok_or_else(|| self.damaged("sparse map with a bad number"))
    }

    fn set_extents(
        &self,
        entry: &mut Entry,
        extents: Vec<Extent>,
        size: u64,
        stored: u64,
    ) -> Result<(), Error> {
        sparse::check(&extents, size, stored).map_err(|reason| self.damaged(reason))?;
        entry.size = size;
        entry.extents = Some(extents);
        Ok(())
    }
}
