//! Where an archive goes.

use std::io::{self, Read, Write};

/// How much is copied at a time where nothing better is known.
const BUFFER: usize = 128 << 10;

/// Takes an archive, and may take a file's data without a buffer in between.
pub trait Output {
    /// Takes all of `bytes`.
    ///
    /// # Errors
    /// When they cannot be written.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Takes `length` bytes of `data`; returns how many there were, which are
    /// fewer when the data ends early.
    ///
    /// # Errors
    /// The outer one when the output fails, the inner one when the data does.
    fn fill(&mut self, data: impl Read, length: u64) -> io::Result<io::Result<u64>>;
}

impl<W: Write> Output for W {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn fill(&mut self, mut data: impl Read, length: u64) -> io::Result<io::Result<u64>> {
        let mut buffer = vec![0; usize::try_from(length.min(BUFFER as u64)).unwrap_or(BUFFER)];
        let mut left = length;
        while left > 0 {
            let want = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = match data.read(&mut buffer[..want]) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            self.write_all(&buffer[..count])?;
            left -= count as u64;
        }
        Ok(Ok(length - left))
    }
}

/// Cuts an archive into pieces; a file's data is read right into them.
#[derive(Debug)]
pub struct Pieces<F> {
    piece: Vec<u8>,
    size: usize,
    send: F,
}

impl<F: FnMut(Vec<u8>) -> io::Result<()>> Pieces<F> {
    /// Gives pieces of `size` bytes to `send`; the last one may be shorter.
    pub fn new(size: usize, send: F) -> Self {
        Self {
            piece: Vec::with_capacity(size),
            size,
            send,
        }
    }

    /// Gives what is left.
    ///
    /// # Errors
    /// Those of the one who takes the pieces.
    pub fn finish(mut self) -> io::Result<()> {
        match self.piece.is_empty() {
            true => Ok(()),
            false => (self.send)(self.piece),
        }
    }

    /// Room for at least one byte; how much there is.
    fn room(&mut self) -> io::Result<usize> {
        if self.piece.len() == self.size {
            let full = std::mem::replace(&mut self.piece, Vec::with_capacity(self.size));
            (self.send)(full)?;
        }
        Ok(self.size - self.piece.len())
    }
}

impl<F: FnMut(Vec<u8>) -> io::Result<()>> Output for Pieces<F> {
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.room()?.min(bytes.len());
            self.piece.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    fn fill(&mut self, mut data: impl Read, length: u64) -> io::Result<io::Result<u64>> {
        let mut left = length;
        while left > 0 {
            let want = left.min(self.room()? as u64);
            // Into the piece's spare room, which this never grows.
            match data.by_ref().take(want).read_to_end(&mut self.piece) {
                Ok(0) => break,
                Ok(count) => left -= count as u64,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(length - left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_and_data_may_end_early() {
        let mut sent = Vec::new();
        let mut pieces = Pieces::new(4, |piece| {
            sent.push(piece);
            Ok(())
        });
        pieces.put(b"ab").unwrap();
        assert_eq!(pieces.fill(&b"cdefgh"[..], 5).unwrap().unwrap(), 5);
        assert_eq!(pieces.fill(&b"x"[..], 9).unwrap().unwrap(), 1);
        pieces.put(b"yz").unwrap();
        pieces.finish().unwrap();
        assert_eq!(sent.concat(), b"abcdefgxyz");
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
    }
}
