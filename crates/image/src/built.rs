//! What builds make: layers without an image yet, and at last the image.
//!
//! ```text
//!  snapshot of a step ──read once──► archive ─► hash
//!          └── becomes the layer itself, where the driver allows it
//! ```
//!
//! The archive is made once more when the layer leaves; nobody keeps it.

use gantry_archive::{PackOptions, Packed, Whiteouts, pack};
use gantry_content::Epoch;
use gantry_types::{ChainId, DiffId, ImageConfig, ImageId, Reference};

use crate::commit::Plain;
use crate::import::Imported;
use crate::lease::Lease;
use crate::record::NewImage;
use crate::store::Inner;
use crate::unpack::{KeptLayer, Unpacking};
use crate::{Error, ImageStore, MAX_LAYERS, Result};

/// A layer that a step has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLayer {
    /// What it is.
    pub diff_id: DiffId,
    /// Sum of the sizes of its files.
    pub size: u64,
}

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Built<'b> {
    /// Its configuration, the diffIDs of its layers included.
    pub config: &'b ImageConfig,
    /// Its names.
    pub references: &'b [Reference],
    /// The image that it was made from.
    pub parent: Option<ImageId>,
}

/// The snapshot of some layers; none for no layers.
fn top(layers: &[DiffId]) -> Option<ChainId> {
    ChainId::chain(layers).last().copied()
}

impl ImageStore {
    /// A lease that holds nothing yet.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn empty_lease(&self, purpose: &str) -> Result<Lease> {
        Lease::new(&self.inner().database, purpose)
    }

    /// Keeps layers, and the blobs that they came as, while the lease lives; whether
    /// all of them are there.
    ///
    /// # Errors
    /// `Metadata`, `Content`.
    pub fn hold_layers(&self, lease: &Lease, layers: &[DiffId]) -> Result<bool> {
        let inner = self.inner();
        let chain = ChainId::chain(layers);
        let held = inner.claim_unsynced(&chain, lease)?;
        if held.contains(&false) || inner.may_be_synced(&chain).is_err() {
            return Ok(false);
        }
        match inner.kept_layers(layers, lease) {
            Ok(_) => Ok(true),
            Err(Error::Damaged { .. } | Error::Content(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a layer of what the active snapshot `key` changes in the layers `below`,
    /// held by the lease. The snapshot is gone afterwards, whatever comes of it;
    /// `None` when it has changed nothing. Its times are at most `latest`. The layer is not
    /// synced; it was begun `since` then.
    ///
    /// # Errors
    /// `Stream` when a file cannot be read or written; `Invalid` for too many layers;
    /// `Content` when a sync has failed since then.
    pub fn commit_step(
        &self,
        (key, since): (&str, Epoch),
        below: &[DiffId],
        lease: &Lease,
        ignore: &dyn Fn(&[u8]) -> bool,
        latest: Option<i64>,
    ) -> Result<Option<StepLayer>> {
        let inner = self.inner();
        let own = Unpacking::adopt(inner, key);
        if let Some(latest) = latest {
            inner.clamp(&own, latest)?;
        }
        if below.len() >= MAX_LAYERS {
            return Err(Error::Invalid("max depth exceeded".to_owned()));
        }
        let (active, archive, packed) = inner.pack_step(own, below, ignore)?;
        if packed.entries == 0 {
            return Ok(None);
        }
        let layer = KeptLayer::plain(archive, &packed)?;
        let mut layers = below.to_vec();
        layers.push(packed.diff_id);
        let chain = top(&layers).unwrap_or(ChainId(packed.diff_id.0));
        let _gate = inner.gate();
        inner.record_layers(
            std::slice::from_ref(&layer),
            Some((chain, packed.stream_bytes)),
            lease,
        )?;
        inner.commit_soon(active, chain, top(below), since)?;
        Ok(Some(StepLayer {
            diff_id: packed.diff_id,
            size: packed.size,
        }))
    }

    /// Which epoch it is: to be asked before the first step runs.
    pub fn epoch(&self) -> Epoch {
        self.inner().content.epoch()
    }

    /// Waits until all layers that were made since then are on the disk.
    ///
    /// # Errors
    /// `Snapshot`; `Content` when a sync has failed meanwhile.
    pub fn sync_layers(&self, since: Epoch) -> Result<()> {
        self.inner().make_durable(since)
    }

    /// Records an image of layers that are there, which `lease` holds; they are on the disk
    /// for good before that.
    ///
    /// # Errors
    /// `Damaged` when one is missing; `Metadata`.
    pub fn record_built(&self, built: &Built<'_>, lease: &Lease) -> Result<Imported> {
        let inner = self.inner();
        let diff_ids = &built.config.rootfs.diff_ids;
        inner.sync_those(&ChainId::chain(diff_ids))?;
        let layers = inner.kept_layers(diff_ids, lease)?;
        let config = serde_json::to_vec(built.config)
            .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
        let recorded = inner.record(&NewImage {
            config: &config,
            layers: &layers,
            manifest: None,
            parent: built.parent,
            references: built.references,
            seal: None,
        })?;
        Ok(Imported {
            id: recorded.id,
            moved: recorded.moved.first().map(|(_, old)| *old),
        })
    }
}

impl Inner {
    /// Nothing that a step has changed has a later time.
    fn clamp(&self, own: &Unpacking, latest: i64) -> Result<()> {
        let target = self.snapshots.unpack_target(own.key())?;
        if target.whiteouts != Whiteouts::Overlay {
            let text = "times of layers can be rewritten with the storage driver overlay2 only";
            return Err(Error::Invalid(text.to_owned()));
        }
        let upper = target.open()?;
        gantry_archive::clamp_times(upper, latest).map_err(Error::Stream)
    }

    /// Packs a step's snapshot. The answer is what becomes the layer: the snapshot
    /// itself where layers do not depend on each other, else a copy without what
    /// every container has.
    fn pack_step(
        &self,
        own: Unpacking,
        below: &[DiffId],
        ignore: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(Unpacking, Plain, Packed)> {
        let driver = &*self.snapshots;
        let mut archive = self.plain_draft()?;
        let target = driver.unpack_target(own.key())?;
        match target.whiteouts {
            Whiteouts::Overlay => {
                let options = PackOptions::layer(target.whiteouts);
                let packed = pack(target.open()?, &mut archive, &options)?;
                Ok((own, archive, packed))
            }
            _ => {
                let copy = Unpacking::create(self, top(below))?;
                let packed = driver.pack(own.key(), copy.key(), &mut archive, ignore)?;
                Ok((copy, archive, packed))
            }
        }
    }
}
