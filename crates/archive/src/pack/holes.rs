//! Where a sparse file has data.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::tar::Extent;

/// The parts with data of a file of `size` bytes, or `None` if it has no hole.
pub(crate) fn extents(file: &File, size: u64) -> Result<Option<Vec<Extent>>, Errno> {
    let mut extents = Vec::new();
    let mut offset = 0;
    while offset < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // The file system knows no holes.
            Err(Errno::INVAL) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        if start >= size {
            break;
        }
        let end = rustix::fs::seek(file, SeekFrom::Hole(start))?.min(size);
        extents.push(Extent {
            offset: start,
            length: end - start,
        });
        offset = end;
    }
    rustix::fs::seek(file, SeekFrom::Start(0))?;
    let whole = [Extent {
        offset: 0,
        length: size,
    }];
    Ok((size > 0 && extents != whole).then_some(extents))
}

/// Reads the parts of a file one after the other.
pub(crate) struct DataOnly<'f> {
    file: &'f File,
    extents: std::vec::IntoIter<Extent>,
    current: Extent,
}

impl<'f> DataOnly<'f> {
    pub(crate) fn new(file: &'f File, extents: Vec<Extent>) -> Self {
        Self {
            file,
            extents: extents.into_iter(),
            current: Extent {
                offset: 0,
                length: 0,
            },
        }
    }
}

impl Read for DataOnly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.length == 0 {
            match self.extents.next() {
                Some(extent) => self.current = extent,
                None => return Ok(0),
            }
        }
        let left = usize::try_from(self.current.length).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let count = self
            .file
            .read_at(&mut buffer[..want], self.current.offset)?;
        self.current.offset += count as u64;
        self.current.length -= count as u64;
        Ok(count)
    }
}
