//! Layers in the packing in which they shall leave.

use std::fs::File;
use std::io::{self, Read, Write};

use gantry_archive::compression::{Compression, Decoder, Encoder};
use gantry_content::Blob;
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
        match self {
            Self::Gzip => media_type::OCI_LAYER_GZIP,
            Self::Zstd => media_type::OCI_LAYER_ZSTD,
        }
    }
}

impl Inner {
    /// A blob that holds the layer in a packing that will do; made when there is
    /// none.
    pub(super) fn packed_layer(&self, diff_id: DiffId) -> Result<(Descriptor, Blob)> {
        let wanted = self.uploads.compression();
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
                let will_do = match wanted {
                    Some(wanted) => kind == wanted.media_type(),
                    None => kind != media_type::OCI_LAYER,
                };
                if will_do {
                    return Ok((descriptor(kind, row.blob, blob.size()), blob));
                }
                plain.get_or_insert((row, blob));
            }
            let Some((row, blob)) = plain else {
                return Err(Error::NotHere(diff_id));
            };
            self.pack_again(row, &blob, self.uploads.packing())
        })
    }

    /// Packs a layer in another way, and keeps that.
    fn pack_again(
        &self,
        row: &layers::LayerRow,
        blob: &Blob,
        wanted: LayerCompression,
    ) -> Result<(Descriptor, Blob)> {
        // As much work as sending it, and more.
        let _slot = self.uploads.take();
        let file = self.content.reader(blob.digest())?;
        let decoder = Decoder::new(file, self.layer_limits())?;
        let mut encoder = Encoder::new(self.content.ingest()?, wanted.format())?;
        let found = copy_hashed(decoder, &mut encoder)?;
        if found != row.diff_id.0 {
            return Err(Error::Damaged {
                id: blob.digest(),
                reason: format!("it unpacks to {found}, expected {}", row.diff_id),
            });
        }
        let blob = encoder
            .finish()
            .map_err(Error::disk("pack", "a layer"))?
            .commit(None, None)?;
        let kept = layers::LayerRow {
            blob: blob.digest(),
            media_type: wanted.media_type().to_owned(),
            blob_size: blob.size(),
            ..row.clone()
        };
        self.database.write(|tx| {
            blobs::insert(tx, blob.digest(), blob.size())?;
            layers::insert(tx, &kept)
        })?;
        let descriptor = descriptor(wanted.media_type(), blob.digest(), blob.size());
        Ok((descriptor, blob))
    }
}

/// Copies all, and answers its digest.
fn copy_hashed(mut from: Decoder<File>, to: &mut impl Write) -> Result<Digest> {
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
