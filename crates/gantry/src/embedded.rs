//! The programs inside this binary; `build.rs` makes and compresses them, one behind
//! the other.

use std::io::{self, Read};

/// A program, by its place among them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed(usize);

/// All programs, compressed by zstd.
static PROGRAMS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/programs.zst"));
/// Where each of them ends.
static ENDS: [usize; 3] = include!(concat!(env!("OUT_DIR"), "/ends.rs"));

/// The program that watches over one container.
pub(crate) static SHIM: Packed = Packed(0);

/// The first process of containers that ask for one.
pub(crate) static INIT: Packed = Packed(1);

/// The only file of the image `gantry/hello`.
static HELLO: Packed = Packed(2);

/// The program of the image `gantry/hello`.
///
/// # Errors
/// As [`Packed::unpack`].
pub(crate) fn hello() -> io::Result<Vec<u8>> {
    HELLO.unpack()
}

impl Packed {
    /// The program.
    ///
    /// # Errors
    /// When the binary is spoilt.
    pub(crate) fn unpack(self) -> io::Result<Vec<u8>> {
        let begin = self.0.checked_sub(1).map_or(0, |former| ENDS[former]);
        let all = zstd::stream::read::Decoder::with_buffer(PROGRAMS)?;
        let mut up_to_end = all.take(ENDS[self.0] as u64);
        io::copy(&mut up_to_end.by_ref().take(begin as u64), &mut io::sink())?;
        let mut program = Vec::with_capacity(ENDS[self.0] - begin);
        up_to_end.read_to_end(&mut program)?;
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_come_out_whole() {
        for packed in [SHIM, INIT, HELLO] {
            let program = packed.unpack().unwrap();
            let begin = packed.0.checked_sub(1).map_or(0, |former| ENDS[former]);
            assert!(program.starts_with(b"\x7fELF") && program.len() == ENDS[packed.0] - begin);
        }
    }
}
