//! The one transaction that makes an image appear.

use gantry_content::Blob;
use gantry_metadata::{Tx, blobs, images, layers, leases, seals};
use gantry_types::{ChainId, DiffId, Digest, ImageConfig, ImageId, Reference};

use crate::lease::Lease;
use crate::store::Inner;
use crate::unpack::KeptLayer;
use crate::{Error, MAX_DOCUMENT, MAX_LAYERS, Result, tag};

/// An image whose bytes are all on the disk.
pub(crate) struct NewImage<'n> {
    /// The configuration document.
    pub(crate) config: &'n [u8],
    /// Its layers, bottom first.
    pub(crate) layers: &'n [KeptLayer],
    /// The manifest that it came with.
    pub(crate) manifest: Option<&'n Blob>,
    /// The image that it was made from.
    pub(crate) parent: Option<ImageId>,
    /// Its names.
    pub(crate) references: &'n [Reference],
    /// Whose signature let it in.
    pub(crate) seal: Option<&'n seals::SealRow>,
}

/// What became of a new image.
pub(crate) struct Recorded {
    pub(crate) id: ImageId,
    /// The names that were taken from other images.
    pub(crate) moved: Vec<(Reference, ImageId)>,
}

impl Inner {
    /// Records an image with its blobs, layers and names, durably.
    pub(crate) fn record(&self, new: &NewImage<'_>) -> Result<Recorded> {
        self.database.write_durable(|tx| insert(tx, new))
    }

    /// Records layers that no image needs yet; the lease holds them till then. One that was
    /// just made is about to become that snapshot, and has an archive of that length.
    pub(crate) fn record_layers(
        &self,
        layers: &[KeptLayer],
        made: Option<(ChainId, u64)>,
        lease: &Lease,
    ) -> Result<()> {
        self.database.write(|tx| {
            if let Some((chain, _)) = made {
                let key = chain.to_string();
                leases::hold(tx, lease.id(), leases::Kind::Snapshot, &key)?;
            }
            for layer in layers {
                insert_layer(tx, layer)?;
                leases::hold_layer(tx, lease.id(), layer.diff_id)?;
                if let (None, Some((chain, archive))) = (&layer.blob, made) {
                    let row = layers::MadeRow {
                        diff_id: layer.diff_id,
                        chain,
                        size: layer.size,
                        archive,
                    };
                    layers::insert_made(tx, &row)?;
                }
            }
            Ok(())
        })
    }

    /// Records several images: all of them or none.
    pub(crate) fn record_all(&self, new: &[NewImage<'_>]) -> Result<Vec<Recorded>> {
        self.database
            .write_durable(|tx| new.iter().map(|new| insert(tx, new)).collect())
    }
}

fn insert_layer(tx: &Tx<'_>, layer: &KeptLayer) -> Result<()> {
    let Some((blob, media_type)) = &layer.blob else {
        return Ok(());
    };
    blobs::insert(tx, blob.digest(), blob.size())?;
    let row = layers::LayerRow {
        diff_id: layer.diff_id,
        blob: blob.digest(),
        media_type: media_type.clone(),
        size: layer.size,
        blob_size: blob.size(),
    };
    Ok(layers::insert(tx, &row)?)
}

/// Records an image in a transaction.
pub(crate) fn insert(tx: &Tx<'_>, new: &NewImage<'_>) -> Result<Recorded> {
    let id = ImageId(Digest::of(new.config));
    let diff_ids: Vec<DiffId> = new.layers.iter().map(|layer| layer.diff_id).collect();
    for layer in new.layers {
        insert_layer(tx, layer)?;
    }
    if let Some(manifest) = new.manifest {
        blobs::insert(tx, manifest.digest(), manifest.size())?;
    }
    let row = images::ImageRow {
        id,
        config: new.config.to_vec(),
        manifest: new.manifest.map(Blob::digest),
        parent: new.parent,
        top: ChainId::chain(&diff_ids).last().copied(),
        size: new.layers.iter().map(|layer| layer.size).sum(),
        created_at: gantry_metadata::now(),
        tagged_at: None,
    };
    images::insert(tx, &row, &diff_ids)?;
    if let Some(seal) = new.seal {
        seals::set(tx, id, seal)?;
    }
    let mut moved = Vec::new();
    for reference in new.references {
        if let Some(old) = tag::set(tx, reference, id)? {
            moved.push((reference.clone(), old));
        }
    }
    Ok(Recorded { id, moved })
}

/// Reads a foreign configuration document. `entry` is for messages.
pub(crate) fn parse_config(bytes: &[u8], entry: &str) -> Result<ImageConfig> {
    if bytes.len() as u64 > MAX_DOCUMENT {
        let reason = format!("image configuration is larger than {MAX_DOCUMENT} bytes");
        return Err(Error::archive(entry, reason));
    }
    let config: ImageConfig =
        serde_json::from_slice(bytes).map_err(|error| Error::archive(entry, error))?;
    if config.rootfs.kind != "layers" {
        let reason = format!(
            "rootfs type is {:?}, expected \"layers\"",
            config.rootfs.kind
        );
        return Err(Error::archive(entry, reason));
    }
    let mut layers = config.rootfs.diff_ids.iter();
    if let Some(other) = layers.find(|layer| layer.0.algorithm() != "sha256") {
        let reason = format!("layers are known by sha256 alone, not as {other}");
        return Err(Error::archive(entry, reason));
    }
    let count = config.rootfs.diff_ids.len();
    if count > MAX_LAYERS {
        let reason = format!("max depth exceeded: {count} layers, at most {MAX_LAYERS}");
        return Err(Error::archive(entry, reason));
    }
    if !config.os.is_empty() && config.os != "linux" {
        let reason = format!("operating system is not supported: {}", config.os);
        return Err(Error::archive(entry, reason));
    }
    Ok(config)
}
