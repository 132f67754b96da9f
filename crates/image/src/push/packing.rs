//! Layers in the packing in which they shall leave.

use std::io::{self, Read, Write};

use gantry_archive::compression::{Compression, Decoder, Encoder};
use gantry_content::{Blob, Ingest};
use gantry_metadata::{blobs, layers};
use gantry_types::{Descriptor, DiffId, Digest, Hasher, media_type};

use crate::portable::{descriptor, oci_layer};
use crate::store::Inner;
use crate::{Error, Result};

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerCompression {
    /// What every registry and engine reads.
    Gzip,
    /// Smaller and several times faster; for engines of the last years.
    Zstd,
}

impl LayerCompression {
    pub(crate) fn format(self) -> Compression {
        match self {
            Self::Gzip => Compression::Gzip,
            Self::Zstd => Compression::Zstd,
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        called(self.format())
    }
}

/// In which packing a layer is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packing {
    /// Any but none when nothing is said.
    pub format: Option<Compression>,
    /// How hard it is tried; the layer is packed anew then.
    pub level: Option<i32>,
}

impl Packing {
    /// Of one kind.
    pub(crate) fn of(format: Compression) -> Self {
        Self {
            format: Some(format),
            level: None,
        }
    }
}

/// What an OCI manifest calls a layer in this packing.
fn called(format: Compression) -> &'static str {
    match format {
        Compression::Gzip => media_type::OCI_LAYER_GZIP,
        Compression::Zstd => media_type::OCI_LAYER_ZSTD,
        _ => media_type::OCI_LAYER,
    }
}

impl Inner {
    /// A blob that holds the layer as all layers shall leave; made when there is none.
    pub(super) fn packed_layer(&self, diff_id: DiffId) -> Result<(Descriptor, Blob)> {
        let format = self.uploads.compression().map(LayerCompression::format);
        self.packed_as(
            diff_id,
            Packing {
                format,
                level: None,
            },
        )
    }

    /// A blob that holds the layer in the packing that is wanted; made when there is
    /// none.
    pub(crate) fn packed_as(&self, diff_id: DiffId, wanted: Packing) -> Result<(Descriptor, Blob)> {
        self.uploads.alone(diff_id, || {
            let rows = self
                .database
                .read(|view| layers::by_diff_id(view, diff_id))?;
            let mut plain = None;
            for row in &rows {
                let Ok(blob) = self.content.hold(row.blob) else {
                    continue;
                };
                let kind = oci_layer(&row.media_type);
                let will_do = match wanted.format {
                    Some(format) => kind == called(format),
                    None => kind != media_type::OCI_LAYER,
                };
                if will_do && wanted.level.is_none() {
                    return Ok((descriptor(kind, row.blob, blob.size()), blob));
                }
                plain.get_or_insert((row, blob));
            }
            let usual = self.uploads.packing().format();
            let format = wanted.format.unwrap_or(usual);
            if let Some((row, blob)) = plain {
                return self.pack_again((diff_id, row.size), format, wanted.level, |encoder| {
                    self.unpack_into(&blob, diff_id, encoder)
                });
            }
            let made = self.database.read(|view| self.made(view, diff_id, None))?;
            let made = made.ok_or(Error::NotHere(diff_id))?;
            self.pack_again((diff_id, made.size), format, wanted.level, |encoder| {
                made.pack(encoder)
            })
        })
    }

    fn unpack_into(&self, blob: &Blob, diff_id: DiffId, to: &mut impl Write) -> Result<()> {
        let file = self.content.reader(blob.digest())?;
        let decoder = Decoder::new(file, self.layer_limits())?;
        let found = copy_hashed(decoder, to)?;
        if found != diff_id.0 {
            return Err(Error::Damaged {
                id: blob.digest(),
                reason: format!("it unpacks to {found}, expected {diff_id}"),
            });
        }
        Ok(())
    }

    /// Packs a layer whose archive `write` writes, and keeps that.
    fn pack_again(
        &self,
        (diff_id, size): (DiffId, u64),
        format: Compression,
        level: Option<i32>,
        write: impl FnOnce(&mut Encoder<Ingest>) -> Result<()>,
    ) -> Result<(Descriptor, Blob)> {
        // As much work as sending it, and more.
        let _slot = self.uploads.take();
        let mut encoder = Encoder::with_level(self.content.ingest()?, format, level)?;
        write(&mut encoder)?;
        let blob = encoder
            .finish()
            .map_err(Error::disk("pack", "a layer"))?
            .commit(None, None)?;
        let kept = layers::LayerRow {
            blob: blob.digest(),
            media_type: called(format).to_owned(),
            blob_size: blob.size(),
            diff_id,
            size,
        };
        self.database.write(|tx| {
            blobs::insert(tx, blob.digest(), blob.size())?;
            layers::insert(tx, &kept)
        })?;
        let descriptor = descriptor(called(format), blob.digest(), blob.size());
        Ok((descriptor, blob))
    }
}

/// Copies all, and answers its digest.
fn copy_hashed(mut from: Decoder<'static>, to: &mut impl Write) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::disk("unpack", "a layer")(error)),
        };
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])
            .map_err(Error::disk("pack", "a layer"))?;
    }
}
