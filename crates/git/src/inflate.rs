//! Reading compressed objects: bounded by the size that is announced.

use std::io::BufRead;

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::{Error, Result};

/// How much comes out at a time.
const PIECE: usize = 64 << 10;

/// What decompresses; its memory is used again for each object.
pub(crate) struct Inflater {
    state: Decompress,
    piece: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            state: Decompress::new(true),
            piece: vec![0; PIECE],
        }
    }

    /// Decompresses exactly `size` bytes; answers how many they were, compressed.
    pub(crate) fn inflate(
        &mut self,
        source: &mut dyn BufRead,
        size: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        self.state.reset(true);
        loop {
            let input = source.fill_buf().map_err(Error::io("reading a pack"))?;
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let none = input.is_empty();
            let status = self
                .state
                .decompress(input, &mut self.piece, FlushDecompress::None)
                .map_err(|error| Error::damaged(format!("an object: {error}")))?;
            let taken = self.state.total_in() - before_in;
            let made = self.state.total_out() - before_out;
            source.consume(usize::try_from(taken).unwrap_or(usize::MAX));
            if self.state.total_out() > size {
                return Err(Error::damaged("an object is longer than it says"));
            }
            sink(&self.piece[..usize::try_from(made).unwrap_or(0)])?;
            match status {
                Status::StreamEnd if self.state.total_out() == size => {
                    return Ok(self.state.total_in());
                }
                Status::StreamEnd => {
                    return Err(Error::damaged("an object is shorter than it says"));
                }
                _ if taken == 0 && made == 0 => {
                    let text = if none {
                        "it is cut off"
                    } else {
                        "an object does not end"
                    };
                    return Err(Error::damaged(text));
                }
                _ => {}
            }
        }
    }
}
