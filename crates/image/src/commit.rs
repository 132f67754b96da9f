//! `docker commit`: what a container has changed becomes a layer on its image's.
//!
//! ```text
//!  snapshot ──read once──► archive ─► hash
//!                     └──► the layer's own snapshot, in a thread beside it
//! ```

use std::io::{self, Write};
use std::time::Duration;

use gantry_archive::Packed;
use gantry_content::Draft;
use gantry_metadata::{layers, leases};
use gantry_types::{
    ChainId, DiffId, History, ImageConfig, ImageId, Platform, ProcessConfig, Reference, RootFs,
    media_type,
};

use crate::image::rfc3339;
use crate::import::Imported;
use crate::lease::Lease;
use crate::record::NewImage;
use crate::store::Inner;
use crate::unpack::{KeptLayer, Unpacking};
use crate::{Error, Image, ImageStore, MAX_LAYERS, Result};

/// What to make of a container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitOptions {
    /// The image's name.
    pub reference: Option<Reference>,
    /// Its configuration: see [`crate::committed_config`].
    pub config: ProcessConfig,
    /// Who made it.
    pub author: String,
    /// What is said about it.
    pub comment: String,
    /// The command that made the layer, for the history.
    pub created_by: String,
    /// Kept as `docker_version`.
    pub engine_version: String,
}

impl ImageStore {
    /// Makes an image of what the snapshot `key` changes in those below it, which are
    /// the layers of `base`. A path that `ignore` knows does not count, when it is
    /// new.
    ///
    /// # Errors
    /// `NoSuchImage` for the base; `Stream` when a file cannot be read or written;
    /// nothing is left then.
    pub fn commit(
        &self,
        key: &str,
        base: Option<ImageId>,
        options: &CommitOptions,
        ignore: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Imported> {
        let inner = self.inner();
        let lease = match base {
            Some(id) => self.lease("commit", id)?,
            None => Lease::new(&inner.database, "commit")?,
        };
        let base = base.map(|id| self.get(id)).transpose()?;
        let mut all = match &base {
            Some(base) => inner.layers_of(base, &lease)?,
            None => Vec::new(),
        };
        let made = inner.pack(key, base.as_ref(), &lease, ignore)?;
        let empty = made.is_none();
        let chain = made.as_ref().map(|(chain, _)| *chain);
        all.extend(made.map(|(_, layer)| layer));
        let document = document(base.as_ref(), &all, options, empty);
        let recorded = inner.record_commit(&document, &all, base.as_ref(), options);
        let _removal = inner.removals.begin();
        drop((all, lease));
        recorded.or_else(|error| {
            if let Some(chain) = chain {
                inner.collect_layers(&[chain])?;
                inner.content.collect_files(Duration::ZERO)?;
            }
            Err(error)
        })
    }
}

impl Inner {
    /// The layers of an image, held by the lease.
    fn layers_of(&self, image: &Image, lease: &Lease) -> Result<Vec<KeptLayer>> {
        if image.diff_ids.len() >= MAX_LAYERS {
            return Err(Error::Invalid("max depth exceeded".to_owned()));
        }
        self.kept_layers(&image.diff_ids, lease)
    }

    /// The blobs of layers, and those that were made here, held by the lease.
    pub(crate) fn kept_layers(&self, diff_ids: &[DiffId], lease: &Lease) -> Result<Vec<KeptLayer>> {
        let missing = |diff_id: DiffId| Error::Damaged {
            id: diff_id.0,
            reason: format!("layer {diff_id} is missing"),
        };
        let held = self.database.write(|tx| -> Result<_> {
            let mut held = Vec::with_capacity(diff_ids.len());
            for diff_id in diff_ids {
                let rows = layers::by_diff_id(tx, *diff_id)?;
                leases::hold_layer(tx, lease.id(), *diff_id)?;
                let row = rows.into_iter().next();
                let made = match row {
                    None => self.made(tx, *diff_id, None)?,
                    Some(_) => None,
                };
                held.push((*diff_id, row, made));
            }
            Ok(held)
        })?;
        let kept = held.into_iter().map(|(diff_id, row, made)| {
            let size = row.as_ref().map(|row| row.size);
            let size = size.or(made.map(|made| made.size));
            let hold = |row: layers::LayerRow| -> Result<_> {
                Ok((self.content.hold(row.blob)?, row.media_type))
            };
            Ok(KeptLayer {
                diff_id,
                size: size.ok_or_else(|| missing(diff_id))?,
                blob: row.map(hold).transpose()?,
            })
        });
        kept.collect()
    }

    /// Packs the layer and commits it on top of the base; `None` when nothing has
    /// changed.
    fn pack(
        &self,
        key: &str,
        base: Option<&Image>,
        lease: &Lease,
        ignore: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<(ChainId, KeptLayer)>> {
        let driver = &*self.snapshots;
        let parent = base.and_then(|base| base.top);
        let independent = driver.capabilities().independent_layers;
        let active = Unpacking::create(self, parent.filter(|_| !independent))?;
        let mut draft = self.plain_draft()?;
        let packed = driver.pack(key, active.key(), &mut draft, ignore)?;
        if packed.entries == 0 {
            return Ok(None);
        }
        let layer = KeptLayer::plain(draft, &packed)?;
        self.make_durable(layer.since(active.since()))?;
        let mut diff_ids = base.map_or_else(Vec::new, |base| base.diff_ids.clone());
        diff_ids.push(packed.diff_id);
        let chain = ChainId::chain(&diff_ids)
            .last()
            .copied()
            .unwrap_or(ChainId(packed.diff_id.0));
        let _gate = self.gate();
        self.record_layers(
            std::slice::from_ref(&layer),
            Some((chain, packed.stream_bytes)),
            lease,
        )?;
        self.commit_synced(active, chain, parent)?;
        Ok(Some((chain, layer)))
    }

    fn record_commit(
        &self,
        document: &ImageConfig,
        layers: &[KeptLayer],
        base: Option<&Image>,
        options: &CommitOptions,
    ) -> Result<Imported> {
        let config = serde_json::to_vec(document)
            .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
        let recorded = self.record(&NewImage {
            config: &config,
            layers,
            manifest: None,
            parent: base.map(|base| base.id),
            references: options.reference.as_slice(),
            seal: None,
        })?;
        Ok(Imported {
            id: recorded.id,
            moved: recorded.moved.first().map(|(_, old)| *old),
        })
    }
}

/// Where the archive of a layer goes that is just made.
pub(crate) enum Plain {
    /// Nowhere: it can be made of the files at any time.
    Hashed,
    /// Into a blob: the directory will hold more than the layer.
    Kept(Draft),
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Hashed => Ok(bytes.len()),
            Self::Kept(draft) => draft.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inner {
    /// A place for the archive of a layer that is just made.
    pub(crate) fn plain_draft(&self) -> Result<Plain> {
        Ok(match self.snapshots.capabilities().independent_layers {
            true => Plain::Hashed,
            false => Plain::Kept(self.content.draft()?),
        })
    }
}

impl KeptLayer {
    /// One that was just made, not packed: that is done when it leaves.
    pub(crate) fn plain(archive: Plain, packed: &Packed) -> Result<Self> {
        let blob = match archive {
            Plain::Hashed => None,
            Plain::Kept(draft) => Some((
                draft.commit_as(packed.diff_id.0)?,
                media_type::OCI_LAYER.to_owned(),
            )),
        };
        Ok(Self {
            diff_id: packed.diff_id,
            blob,
            size: packed.size,
        })
    }
}

fn document(
    base: Option<&Image>,
    layers: &[KeptLayer],
    options: &CommitOptions,
    empty: bool,
) -> ImageConfig {
    let platform = base.map_or_else(Platform::host, Image::platform);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let created = rfc3339(gantry_metadata::now());
    let mut history = base.map_or_else(Vec::new, |base| base.config.history.clone());
    history.push(History {
        created: text(&created),
        created_by: text(&options.created_by),
        author: text(&options.author),
        comment: text(&options.comment),
        empty_layer: empty,
    });
    ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        created: text(&created),
        author: text(&options.author),
        docker_version: text(&options.engine_version),
        comment: text(&options.comment),
        config: Some(options.config.clone()),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        },
        history,
    }
}
