//! The programs inside this binary; `build.rs` makes and compresses them.

use std::io::{self, Read};

use flate2::read::GzDecoder;

/// A program, compressed by gzip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed(&'static [u8]);

/// The program that watches over one container.
pub(crate) static SHIM: Packed =
    Packed(include_bytes!(concat!(env!("OUT_DIR"), "/gantry-shim.gz")));

/// The first process of containers that ask for one.
pub(crate) static INIT: Packed =
    Packed(include_bytes!(concat!(env!("OUT_DIR"), "/gantry-init.gz")));

/// The only file of the image `gantry/hello`.
static HELLO: Packed = Packed(include_bytes!(concat!(env!("OUT_DIR"), "/gantry-hello.gz")));

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
        let mut program = Vec::with_capacity(3 * self.0.len());
        GzDecoder::new(self.0).read_to_end(&mut program)?;
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
            assert!(program.starts_with(b"\x7fELF") && program.len() > packed.0.len());
        }
    }
}
