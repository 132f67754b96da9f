//! All layers of one image: those that are missing are unpacked, at the same
//! time where the driver allows it, and committed bottom first.

use std::io::{self, Read};

use gantry_archive::compression::Decoder;
use gantry_metadata::{layers, leases};
use gantry_types::{ChainId, DiffId, Digest, Hasher};

use super::{Ahead, KeptLayer, LayerProgress, LayerSource, Unpacked, Unpacking, named};
use crate::lease::Lease;
use crate::store::Inner;
use crate::{Error, Result, several};

impl Inner {
    /// Makes sure that all layers (bottom first) are there, as snapshots with
    /// their chainIDs and as blobs, and held by the lease. Those that `ahead`
    /// was given are taken from it.
    pub(crate) fn unpack_layers<'j>(
        &'j self,
        sources: &[LayerSource],
        lease: &Lease,
        ahead: &Ahead<'j>,
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
            ahead,
            progress,
        };
        if self.snapshots.capabilities().independent_layers {
            job.together()
        } else {
            job.one_by_one()
        }
    }
}

/// The layers of one image on their way.
struct Job<'j, 'w> {
    inner: &'j Inner,
    sources: &'w [LayerSource],
    chain: &'w [ChainId],
    present: &'w [bool],
    lease: &'w Lease,
    ahead: &'w Ahead<'j>,
    progress: &'w LayerProgress<'w>,
}

type Made = (KeptLayer, Option<Unpacking>);

impl<'j> Job<'j, '_> {
    fn parent(&self, index: usize) -> Option<ChainId> {
        index.checked_sub(1).map(|below| self.chain[below])
    }

    fn one_by_one(&self) -> Result<Vec<KeptLayer>> {
        let mut kept = Vec::new();
        for index in 0..self.sources.len() {
            let (layer, active) = self.make(index, self.parent(index))?;
            if let Some(active) = active {
                let since = layer.since(active.since());
                self.inner.make_durable(since)?;
                let (chain, parent) = (self.chain[index], self.parent(index));
                self.inner.commit_synced(active, chain, parent)?;
            }
            kept.push(layer);
        }
        Ok(kept)
    }

    fn together(&self) -> Result<Vec<KeptLayer>> {
        let made = several::each(self.sources.len(), |index| self.make(index, None))?;
        let written = made
            .iter()
            .filter_map(|(layer, active)| Some(layer.since(active.as_ref()?.since())));
        if let Some(since) = written.min() {
            self.inner.make_durable(since)?;
        }
        let mut kept = Vec::new();
        for (index, (layer, active)) in made.into_iter().enumerate() {
            if let Some(active) = active {
                let (chain, parent) = (self.chain[index], self.parent(index));
                self.inner.commit_synced(active, chain, parent)?;
            }
            kept.push(layer);
        }
        Ok(kept)
    }

    /// Brings one layer in, as far as it is not there.
    fn make(&self, index: usize, parent: Option<ChainId>) -> Result<Made> {
        let source = &self.sources[index];
        if self.present[index] {
            let layer = match self.known(source, self.chain[index])? {
                Some(layer) => layer,
                None => self.keep_only(source, self.chain[index])?,
            };
            self.ahead.cancel(&source.file.path);
            return Ok((layer, None));
        }
        let told = |done| (self.progress)(source.diff_id, done, source.file.length);
        let unpacked = match self.ahead.take(&source.file.path, &told) {
            Some(unpacked) => unpacked?,
            None => self.unpack(source, parent)?,
        };
        check_digest(source, unpacked.kept.blob.digest())?;
        check_diff_id(source, unpacked.applied.diff_id)?;
        let Unpacked {
            active,
            kept,
            applied,
        } = unpacked;
        let media_type = kept.media_type(source.media_type.as_deref());
        let layer = KeptLayer {
            diff_id: source.diff_id,
            blob: Some((kept.blob, media_type)),
            size: applied.size,
        };
        Ok((layer, Some(active)))
    }

    fn unpack(&self, source: &LayerSource, parent: Option<ChainId>) -> Result<Unpacked> {
        self.inner
            .unpack_file(&source.file, parent, self.watch(source))
    }

    /// Tells how far the reading of a layer is.
    fn watch(&self, source: &LayerSource) -> impl FnMut(u64) -> io::Result<()> {
        let mut done = 0;
        move |count| {
            done += count;
            (self.progress)(source.diff_id, done, source.file.length);
            Ok(())
        }
    }

    /// The layer as it is recorded already, if the blob is the one wanted.
    fn known(&self, source: &LayerSource, chain: ChainId) -> Result<Option<KeptLayer>> {
        let diff_id = source.diff_id;
        let (found, made) = self.inner.database.write(|tx| -> Result<_> {
            let rows = layers::by_diff_id(tx, diff_id)?;
            let wanted = |row: &layers::LayerRow| source.file.digest.is_none_or(|d| d == row.blob);
            let found = rows.into_iter().find(wanted);
            leases::hold_layer(tx, self.lease.id(), diff_id)?;
            Ok((found, self.inner.made(tx, diff_id, Some(chain))?))
        })?;
        // One that was lost to a damaged disk is taken from the archive again.
        if let Some(row) = found
            && let Ok(blob) = self.inner.content.hold(row.blob)
        {
            return Ok(Some(KeptLayer {
                diff_id,
                blob: Some((blob, row.media_type)),
                size: row.size,
            }));
        }
        let made = made.filter(|_| source.file.digest.is_none());
        Ok(made.map(|made| KeptLayer {
            diff_id,
            blob: None,
            size: made.size,
        }))
    }

    /// Verifies and keeps the bytes of a layer whose snapshot exists.
    fn keep_only(&self, source: &LayerSource, chain: ChainId) -> Result<KeptLayer> {
        let file = &source.file;
        let mut keep = self.inner.keep(file, self.watch(source))?;
        let in_layer = |error| Error::Layer {
            entry: file.entry.clone(),
            source: error,
        };
        let mut decoder = Decoder::new(&mut keep, self.inner.layer_limits()).map_err(in_layer)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::archive(&file.entry, error)),
            }
        }
        drop(decoder);
        check_diff_id(source, DiffId(hasher.finish()))?;
        let kept = keep
            .finish(file.digest)
            .map_err(|error| named(file, error))?;
        let media_type = kept.media_type(source.media_type.as_deref());
        Ok(KeptLayer {
            diff_id: source.diff_id,
            blob: Some((kept.blob, media_type)),
            size: self.inner.snapshots.usage(&chain.to_string())?.bytes,
        })
    }
}

/// What was unpacked ahead was not known by its digest.
fn check_digest(source: &LayerSource, found: Digest) -> Result<()> {
    match source.file.digest {
        Some(expected) if expected != found => {
            let wrong = gantry_content::Error::WrongDigest {
                expected,
                found: Box::new(found),
            };
            Err(named(&source.file, wrong.into()))
        }
        _ => Ok(()),
    }
}

fn check_diff_id(source: &LayerSource, found: DiffId) -> Result<()> {
    if found == source.diff_id {
        return Ok(());
    }
    let reason = format!("invalid diffID: expected {}, got {found}", source.diff_id);
    Err(Error::archive(&source.file.entry, reason))
}
