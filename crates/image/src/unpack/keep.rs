//! A reader that keeps what it reads as a blob.
//!
//! Bytes that are compressed with gzip or zstd, or whose digest a manifest
//! names, are kept as they are, so that they can be pushed unchanged. All
//! others are packed on the way, with zstd unless the daemon is told otherwise.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use gantry_archive::compression::{Compression, Decoder, Encoder, Limits};
use gantry_content::{Blob, ContentStore, Ingest};
use gantry_types::{Digest, Hasher, media_type};

use super::LayerFile;
use crate::store::Inner;
use crate::{Error, Result};

/// Reads a layer's bytes (to be decompressed by the one who reads) and keeps them.
pub(crate) struct Keep<'c> {
    /// Formats that no layer may have are decoded before they are kept.
    input: Box<dyn Read + 'c>,
    into: Into<'c>,
    /// Whether the bytes are kept as they came.
    as_is: bool,
    media_type: &'static str,
}

enum Into<'c> {
    /// As they are.
    Ingest(Ingest),
    /// Packed on the way.
    Packed(Box<Encoder<Ingest>>),
    /// They are in a file already, which becomes the blob.
    File {
        content: &'c ContentStore,
        path: PathBuf,
        hasher: Hasher,
        size: u64,
    },
}

/// Bytes that were kept.
pub(crate) struct Kept {
    pub(crate) blob: Blob,
    as_is: bool,
    media_type: &'static str,
}

impl Kept {
    /// How the packing is called, given what a manifest called the bytes that
    /// came.
    pub(crate) fn media_type(&self, named: Option<&str>) -> String {
        named
            .filter(|_| self.as_is)
            .unwrap_or(self.media_type)
            .to_owned()
    }
}

impl<'c> Keep<'c> {
    /// Keeps a stream.
    pub(crate) fn stream(reader: impl Read + 'c, inner: &'c Inner) -> Result<Self> {
        let (reader, format) = sniff(Box::new(reader))?;
        Self::packing(reader, format, inner)
    }

    /// Keeps a layer that lies in a file of the store's scratch directory,
    /// whose bytes `reader` gives.
    pub(crate) fn file(reader: impl Read + 'c, file: &LayerFile, inner: &'c Inner) -> Result<Self> {
        let (reader, format) = sniff(Box::new(reader))?;
        let as_is = file.digest.is_some() || natural(format).is_some();
        if !as_is {
            return Self::packing(reader, format, inner);
        }
        let own = natural(format).unwrap_or(media_type::OCI_LAYER);
        Ok(Self {
            input: reader,
            into: Into::File {
                content: &inner.content,
                path: file.path.clone(),
                hasher: Hasher::new(),
                size: 0,
            },
            as_is,
            media_type: own,
        })
    }

    fn packing(reader: Box<dyn Read + 'c>, format: Compression, inner: &Inner) -> Result<Self> {
        let ingest = inner.content.ingest()?;
        if let Some(own) = natural(format) {
            return Ok(Self {
                input: reader,
                into: Into::Ingest(ingest),
                as_is: true,
                media_type: own,
            });
        }
        let input = match format {
            Compression::None => reader,
            // One at a time, at the word of this machine's user: it may need its memory.
            _ => {
                let limits = Limits {
                    bytes: inner.limits.layer_bytes,
                    ..Limits::default()
                };
                Box::new(Decoder::new(reader, limits)?)
            }
        };
        let packing = inner.uploads.packing();
        Ok(Self {
            input,
            into: Into::Packed(Box::new(Encoder::new(ingest, packing.format())?)),
            as_is: false,
            media_type: packing.media_type(),
        })
    }

    /// Ends a layer that was read to its end.
    pub(crate) fn finish(self, expected: Option<Digest>) -> Result<Kept> {
        let blob = match self.into {
            Into::Ingest(ingest) => ingest.commit(expected, None)?,
            Into::Packed(encoder) => encoder
                .finish()
                .map_err(Error::disk("pack", "a layer"))?
                .commit(None, None)?,
            Into::File {
                content,
                path,
                hasher,
                size,
            } => {
                let mut found = hasher.finish();
                // It was not known by what it would be named.
                if let Some(other) = expected.filter(|one| one.algorithm() != found.algorithm()) {
                    found = std::fs::File::open(&path)
                        .and_then(|mut file| gantry_content::hashed(&mut file, other.hasher()))
                        .map_err(Error::disk("read", &path))?;
                }
                if let Some(expected) = expected.filter(|expected| *expected != found) {
                    return Err(gantry_content::Error::WrongDigest {
                        expected,
                        found: Box::new(found),
                    }
                    .into());
                }
                content.adopt(&path, found, size)?
            }
        };
        Ok(Kept {
            blob,
            as_is: self.as_is,
            media_type: self.media_type,
        })
    }
}

impl Read for Keep<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let bytes = &buffer[..count];
        match &mut self.into {
            Into::Ingest(ingest) => ingest.write_all(bytes)?,
            Into::Packed(encoder) => encoder.write_all(bytes)?,
            Into::File { hasher, size, .. } => {
                hasher.update(bytes);
                *size += count as u64;
            }
        }
        Ok(count)
    }
}

/// The media type of a format that layers may have when compressed.
fn natural(format: Compression) -> Option<&'static str> {
    match format {
        Compression::Gzip => Some(media_type::OCI_LAYER_GZIP),
        Compression::Zstd => Some(media_type::OCI_LAYER_ZSTD),
        Compression::None | Compression::Bzip2 | Compression::Xz => None,
    }
}

/// Looks at the first bytes and puts them back.
fn sniff<'r>(mut reader: Box<dyn Read + 'r>) -> Result<(Box<dyn Read + 'r>, Compression)> {
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(Compression::MAGIC_LENGTH as u64)
        .read_to_end(&mut head)
        .map_err(|source| gantry_archive::Error::Read { source })?;
    let format = Compression::detect(&head);
    Ok((Box::new(io::Cursor::new(head).chain(reader)), format))
}
