//! Layers become snapshots, and their bytes blobs.
//!
//! Each layer is one pipeline: stream → {hash, keep} and {inflate → diffID →
//! apply}. The layers of an image are applied at the same time where the
//! driver allows it, and committed bottom first once all are on the disk.

mod keep;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_archive::compression::{self, Decoder};
use gantry_archive::{Applied, ApplyOptions, apply};
use gantry_content::Blob;
use gantry_metadata::{layers, leases};
use gantry_snapshot::SnapshotDriver;
use gantry_types::{ChainId, DiffId, Digest, Hasher};

use crate::lease::Lease;
use crate::store::{Inner, random_name};
use crate::{Error, Result};
pub(crate) use keep::Keep;

/// A layer in a file of the scratch directory.
pub(crate) struct LayerSource {
    /// The archive's entry, for messages.
    pub(crate) entry: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) length: u64,
    /// What it must unpack to.
    pub(crate) diff_id: DiffId,
    /// What its bytes must hash to, when that is known; they are then kept as
    /// they are.
    pub(crate) digest: Option<Digest>,
    /// How a manifest calls the packing.
    pub(crate) media_type: Option<String>,
}

/// A layer that is on the disk: as a blob at least.
pub(crate) struct KeptLayer {
    pub(crate) diff_id: DiffId,
    pub(crate) blob: Blob,
    pub(crate) media_type: String,
    /// Sum of the sizes of its files.
    pub(crate) size: u64,
}

/// Told how many bytes of a layer have been read.
pub(crate) type LayerProgress<'p> = dyn Fn(DiffId, u64, u64) + Sync + 'p;

/// How long somebody else's commit of the same layer is waited for.
const LONGEST_COMMIT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const BETWEEN_LOOKS: Duration = Duration::from_micros(200);

/// An active snapshot that is removed when it is not committed.
struct Unpacking<'d> {
    driver: &'d dyn SnapshotDriver,
    key: Option<String>,
}

impl<'d> Unpacking<'d> {
    fn create(driver: &'d dyn SnapshotDriver, parent: Option<ChainId>) -> Result<Self> {
        let key = format!("unpack-{}", random_name()?);
        driver.create(&key, parent.map(|parent| parent.to_string()).as_deref())?;
        Ok(Self {
            driver,
            key: Some(key),
        })
    }

    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// Commits the layer as `chain`; one that exists by now is as good. One that
    /// somebody else is just committing is waited for: until then no layer can
    /// be put on top of it, and it may still fail.
    fn commit(mut self, chain: ChainId, parent: Option<ChainId>) -> Result<()> {
        let (name, parent) = (chain.to_string(), parent.map(|parent| parent.to_string()));
        let begun = Instant::now();
        loop {
            match self.driver.commit(self.key(), &name, parent.as_deref()) {
                Ok(()) => {
                    self.key = None;
                    return Ok(());
                }
                Err(gantry_snapshot::Error::AlreadyExists { .. })
                    if self.driver.status(&name).is_ok() =>
                {
                    return Ok(());
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

impl Drop for Unpacking<'_> {
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
    fn apply(&self, key: &str, reader: impl Read) -> Result<Applied> {
        let target = self.snapshots.unpack_target(key)?;
        let options = ApplyOptions {
            limits: self.layer_limits(),
            max_entries: self.limits.layer_entries,
            ..ApplyOptions::new(target.whiteouts)
        };
        Ok(apply(reader, target.open()?, &options)?)
    }

    fn layer_limits(&self) -> compression::Limits {
        compression::Limits {
            bytes: self.limits.layer_bytes,
            ..compression::Limits::default()
        }
    }

    /// Unpacks one layer of an unknown diffID from a stream, and commits it.
    pub(crate) fn unpack_stream(&self, reader: impl Read, lease: &Lease) -> Result<KeptLayer> {
        let driver = &*self.snapshots;
        let active = Unpacking::create(driver, None)?;
        let mut keep = Keep::stream(reader, &self.content, self.layer_limits())?;
        let applied = self.apply(active.key(), &mut keep)?;
        let kept = keep.finish(None)?;
        driver.sync()?;
        let chain = ChainId(applied.diff_id.0);
        {
            let _gate = self.gate();
            self.database.write(|tx| {
                leases::hold(tx, lease.id(), leases::Kind::Snapshot, &chain.to_string())
            })?;
            active.commit(chain, None)?;
        }
        Ok(KeptLayer {
            diff_id: applied.diff_id,
            blob: kept.blob,
            media_type: kept.media_type,
            size: applied.size,
        })
    }

    /// Makes sure that all layers (bottom first) are there, as snapshots with
    /// their chainIDs and as blobs, and held by the lease.
    pub(crate) fn unpack_layers(
        &self,
        sources: &[LayerSource],
        lease: &Lease,
        progress: &LayerProgress<'_>,
    ) -> Result<Vec<KeptLayer>> {
        let diff_ids: Vec<DiffId> = sources.iter().map(|source| source.diff_id).collect();
        let chain = ChainId::chain(&diff_ids);
        let present = self.claim(&chain, lease)?;
        let job = Job {
            inner: self,
            sources,
            chain: &chain,
            present: &present,
            lease,
            progress,
        };
        if self.snapshots.capabilities().independent_layers {
            job.together()
        } else {
            job.one_by_one()
        }
    }

    /// Lets the lease hold the layers, and answers which exist.
    fn claim(&self, chain: &[ChainId], lease: &Lease) -> Result<Vec<bool>> {
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

/// The layers of one image on their way.
struct Job<'j> {
    inner: &'j Inner,
    sources: &'j [LayerSource],
    chain: &'j [ChainId],
    present: &'j [bool],
    lease: &'j Lease,
    progress: &'j LayerProgress<'j>,
}

type Made<'d> = (KeptLayer, Option<Unpacking<'d>>);

impl<'j> Job<'j> {
    fn parent(&self, index: usize) -> Option<ChainId> {
        index.checked_sub(1).map(|below| self.chain[below])
    }

    fn one_by_one(&self) -> Result<Vec<KeptLayer>> {
        let mut kept = Vec::new();
        for index in 0..self.sources.len() {
            let (layer, active) = self.make(index, self.parent(index))?;
            if let Some(active) = active {
                self.inner.snapshots.sync()?;
                active.commit(self.chain[index], self.parent(index))?;
            }
            kept.push(layer);
        }
        Ok(kept)
    }

    fn together(&self) -> Result<Vec<KeptLayer>> {
        let mut made = self.make_all()?;
        made.sort_by_key(|(index, _)| *index);
        if made.iter().any(|(_, (_, active))| active.is_some()) {
            self.inner.snapshots.sync()?;
        }
        let mut kept = Vec::new();
        for (index, (layer, active)) in made {
            if let Some(active) = active {
                active.commit(self.chain[index], self.parent(index))?;
            }
            kept.push(layer);
        }
        Ok(kept)
    }

    fn make_all(&self) -> Result<Vec<(usize, Made<'j>)>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let results = Mutex::new(Vec::new());
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.sources.len() {
                    break;
                }
                let result = self.make(index, None).map(|made| (index, made));
                if result.is_err() {
                    failed.store(true, Ordering::Relaxed);
                }
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.push(result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(self.sources.len()) {
                scope.spawn(work);
            }
            work();
        });
        results
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_iter()
            .collect()
    }

    /// Brings one layer in, as far as it is not there.
    fn make(&self, index: usize, parent: Option<ChainId>) -> Result<Made<'j>> {
        let source = &self.sources[index];
        if self.present[index] {
            let layer = match self.known(source)? {
                Some(layer) => layer,
                None => self.keep_only(source)?,
            };
            return Ok((layer, None));
        }
        let driver = &*self.inner.snapshots;
        let active = Unpacking::create(driver, parent)?;
        let mut keep = self.keep(source)?;
        let applied = self
            .inner
            .apply(active.key(), &mut keep)
            .map_err(|error| match error {
                Error::Stream(error) => Error::Layer {
                    entry: source.entry.clone(),
                    source: error,
                },
                other => other,
            })?;
        check_diff_id(source, applied.diff_id)?;
        let kept = keep
            .finish(source.digest)
            .map_err(|error| named(source, error))?;
        let layer = KeptLayer {
            diff_id: source.diff_id,
            blob: kept.blob,
            media_type: kept.media_type,
            size: applied.size,
        };
        Ok((layer, Some(active)))
    }

    /// The layer as it is recorded already, if the blob is the one wanted.
    fn known(&self, source: &LayerSource) -> Result<Option<KeptLayer>> {
        let found = self
            .inner
            .database
            .write(|tx| -> Result<_, gantry_metadata::Error> {
                let rows = layers::by_diff_id(tx, source.diff_id)?;
                let wanted = |row: &layers::LayerRow| source.digest.is_none_or(|d| d == row.blob);
                let found = rows.into_iter().find(wanted);
                if let Some(row) = &found {
                    let key = row.blob.to_string();
                    leases::hold(tx, self.lease.id(), leases::Kind::Blob, &key)?;
                }
                Ok(found)
            })?;
        let Some(row) = found else { return Ok(None) };
        Ok(match self.inner.content.hold(row.blob) {
            Ok(blob) => Some(KeptLayer {
                diff_id: row.diff_id,
                blob,
                media_type: row.media_type,
                size: row.size,
            }),
            // Lost to a damaged disk: taken from the archive again.
            Err(_) => None,
        })
    }

    /// Verifies and keeps the bytes of a layer whose snapshot exists.
    fn keep_only(&self, source: &LayerSource) -> Result<KeptLayer> {
        let mut keep = self.keep(source)?;
        let in_layer = |source_error| Error::Layer {
            entry: source.entry.clone(),
            source: source_error,
        };
        let mut decoder = Decoder::new(&mut keep, self.inner.layer_limits()).map_err(in_layer)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::archive(&source.entry, error)),
            }
        }
        drop(decoder);
        check_diff_id(source, DiffId(hasher.finish()))?;
        let kept = keep
            .finish(source.digest)
            .map_err(|error| named(source, error))?;
        let chain = self.chain[self
            .sources
            .iter()
            .position(|s| std::ptr::eq(s, source))
            .unwrap_or(0)];
        Ok(KeptLayer {
            diff_id: source.diff_id,
            blob: kept.blob,
            media_type: kept.media_type,
            size: self.inner.snapshots.usage(&chain.to_string())?.bytes,
        })
    }

    /// Opens a layer for reading; its bytes are kept.
    fn keep(&self, source: &'j LayerSource) -> Result<Keep<'j, impl Read + use<'j>>> {
        let file = File::open(&source.path).map_err(Error::disk("open", &source.path))?;
        let (progress, diff_id, total) = (self.progress, source.diff_id, source.length);
        let mut done = 0;
        let watched = Watched {
            file,
            told: move |count| {
                done += count;
                progress(diff_id, done, total);
            },
        };
        Keep::file(
            watched,
            source,
            &self.inner.content,
            self.inner.layer_limits(),
        )
    }
}

/// A file that tells how much of it was read.
struct Watched<F> {
    file: File,
    told: F,
}

impl<F: FnMut(u64)> Read for Watched<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if count != 0 {
            (self.told)(count as u64);
        }
        Ok(count)
    }
}

fn check_diff_id(source: &LayerSource, found: DiffId) -> Result<()> {
    if found == source.diff_id {
        return Ok(());
    }
    let reason = format!("invalid diffID: expected {}, got {found}", source.diff_id);
    Err(Error::archive(&source.entry, reason))
}

/// A wrong digest, told with the entry's name.
fn named(source: &LayerSource, error: Error) -> Error {
    match error {
        Error::Content(error @ gantry_content::Error::WrongDigest { .. }) => {
            Error::archive(&source.entry, error)
        }
        other => other,
    }
}
