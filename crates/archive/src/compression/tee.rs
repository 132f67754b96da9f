//! A reader that shows a second party every byte it passes on.

use std::io::{self, Read, Write};

/// Passes on what `reader` gives, and writes the same bytes to `copy`: to
/// keep a compressed blob and its digest while the layer in it is applied.
///
/// Short of an error [`crate::apply`] reads to the very end of the stream, so
/// that `copy` has then seen all of it.
#[derive(Debug)]
pub struct Tee<R, W> {
    reader: R,
    copy: W,
}

impl<R: Read, W: Write> Tee<R, W> {
    /// A tee of `reader` into `copy`.
    pub fn new(reader: R, copy: W) -> Self {
        Self { reader, copy }
    }

    /// Both ends.
    pub fn into_parts(self) -> (R, W) {
        (self.reader, self.copy)
    }
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.copy.write_all(&buffer[..count])?;
        Ok(count)
    }
}
