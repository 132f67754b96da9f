//! Layers become snapshots, and their bytes blobs.
//!
//! Each layer is one pipeline: stream → {hash, keep} and {inflate → diffID →
//! apply}. The layers of an image are applied at the same time where the
//! driver allows it, begun while the archive still arrives ([`Ahead`]), and
//! committed bottom first once all are on the disk ([`job`]).

mod ahead;
mod job;
mod keep;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_archive::{Applied, ApplyOptions, apply, compression};
use gantry_content::{Blob, Epoch};
use gantry_metadata::leases;
use gantry_snapshot::SnapshotDriver;
use gantry_types::{ChainId, DiffId, Digest};

use crate::lease::Lease;
use crate::store::{Inner, random_name};
use crate::{Error, Result};
pub(crate) use ahead::{Ahead, HEAD};
pub(crate) use keep::{Keep, Kept};

/// A file of the scratch directory that holds a layer.
#[derive(Clone)]
pub(crate) struct LayerFile {
    /// The archive's entry, for messages.
    pub(crate) entry: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) length: u64,
    /// What its bytes must hash to, when that is known; they are then kept as
    /// they are.
    pub(crate) digest: Option<Digest>,
}

/// A layer of an image that is wanted.
pub(crate) struct LayerSource {
    pub(crate) file: LayerFile,
    /// What it must unpack to.
    pub(crate) diff_id: DiffId,
    /// How a manifest calls the packing.
    pub(crate) media_type: Option<String>,
}

/// A layer that was unpacked and kept, but is not committed.
pub(crate) struct Unpacked {
    active: Unpacking,
    kept: Kept,
    applied: Applied,
}

/// A layer that is on the disk.
pub(crate) struct KeptLayer {
    pub(crate) diff_id: DiffId,
    /// A blob that holds it, and in what packing; none of a layer that was made here.
    pub(crate) blob: Option<(Blob, String)>,
    /// Sum of the sizes of its files.
    pub(crate) size: u64,
}

impl KeptLayer {
    /// The older one of its blob's epoch and another.
    pub(crate) fn since(&self, other: Epoch) -> Epoch {
        let blob = self.blob.as_ref();
        blob.map_or(other, |(blob, _)| blob.epoch().min(other))
    }
}

/// Told how many bytes of a layer have been read.
pub(crate) type LayerProgress<'p> = dyn Fn(DiffId, u64, u64) + Sync + 'p;

/// How long somebody else's commit of the same layer is waited for.
const LONGEST_COMMIT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const BETWEEN_LOOKS: Duration = Duration::from_micros(200);

/// How the keys of layers begin that are being unpacked.
pub(crate) const KEY: &str = "unpack-";

/// An active snapshot that is removed when it is not committed.
pub(crate) struct Unpacking {
    driver: Arc<dyn SnapshotDriver>,
    key: Option<String>,
    since: Epoch,
}

impl Unpacking {
    pub(crate) fn create(inner: &Inner, parent: Option<ChainId>) -> Result<Self> {
        let key = format!("{KEY}{}", random_name()?);
        let parent = parent.map(|parent| parent.to_string());
        inner.snapshots.create(&key, parent.as_deref())?;
        Ok(Self::adopt(inner, &key))
    }

    /// One that was made elsewhere, and ends with this.
    pub(crate) fn adopt(inner: &Inner, key: &str) -> Self {
        Self {
            driver: Arc::clone(&inner.snapshots),
            key: Some(key.to_owned()),
            since: inner.content.epoch(),
        }
    }

    /// Since when it is written.
    pub(crate) fn since(&self) -> Epoch {
        self.since
    }

    /// Somebody else ends it.
    pub(crate) fn release(mut self) -> String {
        self.key.take().unwrap_or_default()
    }

    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// Commits the layer as `chain`; whether it is this one, and not another that exists
    /// by now. One that somebody else is just committing is waited for: until then no layer
    /// can be put on top of it, and it may still fail.
    pub(crate) fn commit(mut self, chain: ChainId, parent: Option<ChainId>) -> Result<bool> {
        let (name, parent) = (chain.to_string(), parent.map(|parent| parent.to_string()));
        let begun = Instant::now();
        loop {
            match self.driver.commit(self.key(), &name, parent.as_deref()) {
                Ok(()) => {
                    self.key = None;
                    return Ok(true);
                }
                Err(gantry_snapshot::Error::AlreadyExists { .. })
                    if self.driver.status(&name).is_ok() =>
                {
                    return Ok(false);
                }
                Err(gantry_snapshot::Error::AlreadyExists { .. })
                    if begun.elapsed() < LONGEST_COMMIT =>
                {
                    std::thread::sleep(BETWEEN_LOOKS);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        if let Some(key) = self.key.take()
            && let Err(error) = self.driver.remove(&key)
        {
            tracing::warn!(key, %error, "a layer that was being unpacked stays until the next start");
        }
    }
}

impl Inner {
    /// Applies a layer to the active snapshot `key`.
    pub(crate) fn apply(&self, key: &str, reader: impl Read) -> Result<Applied> {
        let target = self.snapshots.unpack_target(key)?;
        let options = ApplyOptions {
            limits: self.layer_limits(),
            max_entries: self.limits.layer_entries,
            ..ApplyOptions::new(target.whiteouts)
        };
        Ok(apply(reader, target.open()?, &options)?)
    }

    pub(crate) fn layer_limits(&self) -> compression::Limits {
        compression::Limits {
            bytes: self.limits.layer_bytes,
            window: compression::Limits::LAYER_WINDOW,
            ..compression::Limits::default()
        }
    }

    /// Unpacks one layer of an unknown diffID from a stream, and commits it.
    pub(crate) fn unpack_stream(&self, reader: impl Read, lease: &Lease) -> Result<KeptLayer> {
        let active = Unpacking::create(self, None)?;
        let mut keep = Keep::stream(reader, self)?;
        let applied = self.apply(active.key(), &mut keep)?;
        let kept = keep.finish(None)?;
        self.make_durable(active.since().min(kept.blob.epoch()))?;
        let chain = ChainId(applied.diff_id.0);
        {
            let _gate = self.gate();
            self.database.write(|tx| {
                leases::hold(tx, lease.id(), leases::Kind::Snapshot, &chain.to_string())
            })?;
            self.commit_synced(active, chain, None)?;
        }
        let media_type = kept.media_type(None);
        Ok(KeptLayer {
            diff_id: applied.diff_id,
            blob: Some((kept.blob, media_type)),
            size: applied.size,
        })
    }

    /// Unpacks a layer from its file. `told` hears of each piece that is read,
    /// and may end the reading.
    fn unpack_file<'d>(
        &'d self,
        file: &LayerFile,
        parent: Option<ChainId>,
        told: impl FnMut(u64) -> io::Result<()> + 'd,
    ) -> Result<Unpacked> {
        let active = Unpacking::create(self, parent)?;
        let mut keep = self.keep(file, told)?;
        let applied = self
            .apply(active.key(), &mut keep)
            .map_err(|error| match error {
                Error::Stream(source) => Error::Layer {
                    entry: file.entry.clone(),
                    source,
                },
                other => other,
            })?;
        let kept = keep
            .finish(file.digest)
            .map_err(|error| named(file, error))?;
        Ok(Unpacked {
            active,
            kept,
            applied,
        })
    }

    /// Opens a layer for reading; its bytes are kept.
    fn keep<'d>(
        &'d self,
        file: &LayerFile,
        told: impl FnMut(u64) -> io::Result<()> + 'd,
    ) -> Result<Keep<'d>> {
        let opened = File::open(&file.path).map_err(Error::disk("open", &file.path))?;
        let watched = Watched { file: opened, told };
        Keep::file(watched, file, self)
    }

    /// Lets the lease hold the layers, and answers which exist; those are on the disk for
    /// good.
    pub(crate) fn claim(&self, chain: &[ChainId], lease: &Lease) -> Result<Vec<bool>> {
        let held = self.claim_unsynced(chain, lease)?;
        self.sync_those(chain)?;
        Ok(held)
    }

    /// The same for who syncs later.
    pub(crate) fn claim_unsynced(&self, chain: &[ChainId], lease: &Lease) -> Result<Vec<bool>> {
        let _gate = self.gate();
        self.database
            .write(|tx| -> Result<(), gantry_metadata::Error> {
                for id in chain {
                    leases::hold(tx, lease.id(), leases::Kind::Snapshot, &id.to_string())?;
                }
                Ok(())
            })?;
        Ok(chain
            .iter()
            .map(|id| {
                let status = self.snapshots.status(&id.to_string());
                status.is_ok_and(|status| status.committed)
            })
            .collect())
    }
}

/// A file that tells how much of it was read.
struct Watched<T> {
    file: File,
    told: T,
}

impl<T: FnMut(u64) -> io::Result<()>> Read for Watched<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if count != 0 {
            (self.told)(count as u64)?;
        }
        Ok(count)
    }
}

/// A wrong digest, told with the entry's name.
fn named(file: &LayerFile, error: Error) -> Error {
    match error {
        Error::Content(error @ gantry_content::Error::WrongDigest { .. }) => {
            Error::archive(&file.entry, error)
        }
        other => other,
    }
}
