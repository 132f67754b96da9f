//! The writing side: gzip and zstd.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use super::Compression;
use crate::error::Error;

/// As small as gzip, at several times its speed: layers are packed while
/// somebody waits.
const ZSTD_LEVEL: i32 = 1;
const ZSTD_HARDEST: i32 = 22;

/// Compresses what is written to it into an inner writer. The bytes depend on
/// the input and the format only: no time stamp, no file name.
pub struct Encoder<W: Write> {
    inner: Inner<W>,
}

enum Inner<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// An encoder of `format` into `writer`.
    ///
    /// # Errors
    /// `Unsupported` for bzip2 and xz, which are only read.
    pub fn new(writer: W, format: Compression) -> Result<Self, Error> {
        Self::with_level(writer, format, None)
    }

    /// The same, that tries as hard as the format's `level` says; what a format does
    /// not have is its nearest.
    ///
    /// # Errors
    /// `Unsupported` for bzip2 and xz, which are only read.
    pub fn with_level(writer: W, format: Compression, level: Option<i32>) -> Result<Self, Error> {
        let inner = match format {
            Compression::None => Inner::Plain(writer),
            Compression::Gzip => {
                let level = level.and_then(|level| u32::try_from(level).ok());
                let level = level.map(|level| flate2::Compression::new(level.min(9)));
                Inner::Gzip(GzEncoder::new(writer, level.unwrap_or_default()))
            }
            Compression::Zstd => {
                let level = level.unwrap_or(ZSTD_LEVEL).clamp(1, ZSTD_HARDEST);
                let encoder = zstd::stream::write::Encoder::new(writer, level)
                    .map_err(|source| Error::Write { source })?;
                Inner::Zstd(encoder)
            }
            Compression::Bzip2 | Compression::Xz => {
                return Err(Error::Unsupported {
                    entry: String::new(),
                    what: format!("compressing with {}", format.name()),
                });
            }
        };
        Ok(Self { inner })
    }

    /// Writes what is still buffered and gives the writer back.
    ///
    /// # Errors
    /// When the inner writer fails.
    pub fn finish(self) -> io::Result<W> {
        match self.inner {
            Inner::Plain(writer) => Ok(writer),
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Plain(writer) => writer.write(bytes),
            Inner::Gzip(encoder) => encoder.write(bytes),
            Inner::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Inner::Plain(writer) => writer.flush(),
            Inner::Gzip(encoder) => encoder.flush(),
            Inner::Zstd(encoder) => encoder.flush(),
        }
    }
}
