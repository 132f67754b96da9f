//! One pull of an image that is not here: which layers are missing, how they come,
//! and how they become snapshots.

use std::cmp::Reverse;
use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use gantry_content::Epoch;
use gantry_metadata::{layers, leases, seals};
use gantry_registry::Cancel;
use gantry_types::{ChainId, Descriptor, Digest, ImageConfig, ImageId, Reference};

use super::download::{Downloads, Listener, Outcome, Stage};
use super::fetched::{Fetched, Taken};
use super::layer;
use super::manifest::{self, Described};
use super::progress::{LayerState, Step, Tell};
use super::source::{Source, Wanted};
use crate::lease::Lease;
use crate::record::{NewImage, parse_config};
use crate::store::Inner;
use crate::unpack::{KeptLayer, Unpacking};
use crate::{Error, MAX_DOCUMENT, Result};

/// How often somebody is asked whether he still waits.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// One pull of an image that is not here.
pub(super) struct Pull<'p> {
    pub(super) inner: &'p Arc<Inner>,
    pub(super) source: &'p Arc<dyn Source>,
    pub(super) described: &'p Described,
    pub(super) names: &'p [Reference],
    pub(super) seal: Option<&'p seals::SealRow>,
    pub(super) cancel: &'p Cancel,
}

/// Where a layer is.
enum Place {
    /// Here, on top of those below it.
    Here(KeptLayer),
    /// On its way.
    Coming,
    /// It has come.
    Come(Arc<Fetched>),
}

impl Pull<'_> {
    fn layers(&self) -> &[Descriptor] {
        &self.described.manifest.layers
    }

    pub(super) fn run(&self, tell: Tell<'_>) -> Result<()> {
        let (bytes, config) = self.config()?;
        let chain = ChainId::chain(&config.rootfs.diff_ids);
        let lease = Lease::new(&self.inner.database, "pull")?;
        let result = self.bring_in(&bytes, &config, &chain, &lease, tell);
        let _removal = self.inner.removals.begin();
        drop(lease);
        if result.is_err() {
            self.inner.collect_layers(&chain)?;
            self.inner.content.collect_files(Duration::ZERO)?;
        }
        result
    }

    fn bring_in(
        &self,
        bytes: &[u8],
        config: &ImageConfig,
        chain: &[ChainId],
        lease: &Lease,
        tell: Tell<'_>,
    ) -> Result<()> {
        let since = self.inner.content.epoch();
        let mut places = self.look(config, chain, lease)?;
        for (place, layer) in places.iter().zip(self.layers()) {
            let state = match place {
                Place::Here(_) => LayerState::Exists,
                _ => LayerState::Missing,
            };
            tell(Step::layer(layer, state));
        }
        self.fetch(&mut places, config, tell)?;
        let missing: Vec<&Descriptor> = std::iter::zip(&places, self.layers())
            .filter(|(place, _)| !matches!(place, Place::Here(_)))
            .map(|(_, layer)| layer)
            .collect();
        let manifest = self.inner.content.put_soon(&self.described.bytes)?;
        let kept = self.settle(places, config, chain, since)?;
        // Not before: whoever listens may be slow, and others wait for these layers.
        for layer in missing {
            tell(Step::layer(layer, LayerState::Complete));
        }
        self.inner.record(&NewImage {
            config: bytes,
            layers: &kept,
            manifest: Some(&manifest),
            parent: None,
            references: self.names,
            seal: self.seal,
        })?;
        for layer in self.layers() {
            self.inner.content.forget_partial(layer.digest, layer.size);
        }
        Ok(())
    }

    /// Brings layers here that make no image; the lease keeps them.
    pub(super) fn bring_layers(
        &self,
        config: &ImageConfig,
        chain: &[ChainId],
        lease: &Lease,
    ) -> Result<u64> {
        let since = self.inner.content.epoch();
        let mut places = self.look(config, chain, lease)?;
        self.fetch(&mut places, config, &mut |_| {})?;
        let kept = self.settle(places, config, chain, since)?;
        self.inner.record_layers(&kept, None, lease)?;
        for layer in self.layers() {
            self.inner.content.forget_partial(layer.digest, layer.size);
        }
        Ok(kept.last().map_or(0, |layer| layer.size))
    }

    /// The image's id here, which is always made by `sha256`.
    pub(super) fn id(&self) -> Result<ImageId> {
        let digest = self.described.manifest.config.digest;
        match digest.algorithm() {
            "sha256" => Ok(ImageId(digest)),
            _ => Ok(ImageId(Digest::of(&self.config()?.0))),
        }
    }

    /// The configuration, whose bytes are what the manifest says.
    pub(super) fn config(&self) -> Result<(Vec<u8>, ImageConfig)> {
        let descriptor = &self.described.manifest.config;
        let mut bytes = Vec::new();
        self.source
            .blob(&Wanted::of(descriptor), 0, self.cancel)?
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(layer::failed)?;
        if descriptor.digest.like(&bytes) != descriptor.digest
            || bytes.len() as u64 != descriptor.size
        {
            return Err(Error::Manifest(format!(
                "image config verification failed for digest {}",
                descriptor.digest
            )));
        }
        let config = parse_config(&bytes, &descriptor.digest.to_string())?;
        if config.rootfs.diff_ids.len() != self.layers().len() {
            return Err(Error::Manifest(
                "layers from manifest don't match image configuration".to_owned(),
            ));
        }
        Ok((bytes, config))
    }

    /// Which layers are here.
    fn look(&self, config: &ImageConfig, chain: &[ChainId], lease: &Lease) -> Result<Vec<Place>> {
        let present = self.inner.claim(chain, lease)?;
        let diff_ids = &config.rootfs.diff_ids;
        let known = self.inner.database.write(|tx| {
            let mut known = Vec::new();
            for diff_id in diff_ids {
                let rows = layers::by_diff_id(tx, *diff_id)?;
                for row in &rows {
                    let key = row.blob.to_string();
                    leases::hold(tx, lease.id(), leases::Kind::Blob, &key)?;
                }
                known.push(rows);
            }
            Ok::<_, Error>(known)
        })?;
        let place = |((layer, rows), present): ((&Descriptor, Vec<layers::LayerRow>), bool)| {
            // The very blob, or else any that holds the same files.
            let best = rows.iter().find(|row| row.blob == layer.digest);
            let row = best.or(rows.first()).filter(|_| present)?;
            Some(KeptLayer {
                diff_id: row.diff_id,
                blob: Some((
                    self.inner.content.hold(row.blob).ok()?,
                    row.media_type.clone(),
                )),
                size: row.size,
            })
        };
        Ok(std::iter::zip(self.layers(), known)
            .zip(present)
            .map(|layer| place(layer).map_or(Place::Coming, Place::Here))
            .collect())
    }

    /// Waits for all layers that are not here.
    fn fetch(&self, places: &mut [Place], config: &ImageConfig, tell: Tell<'_>) -> Result<()> {
        let (sender, news) = channel();
        let seat = Seat {
            pull: self,
            who: self.inner.downloads.name(),
            sender,
        };
        let mut missing: Vec<usize> = (0..places.len())
            .filter(|index| matches!(places[*index], Place::Coming))
            .collect();
        // The longest first: it should not be what all others wait for in the end.
        gantry_types::sort::by_key(&mut missing, |index| Reverse(self.layers()[*index].size));
        for index in missing {
            seat.join(index);
        }
        while places.iter().any(|place| matches!(place, Place::Coming)) {
            let (index, stage) = self.hear(&news)?;
            let layer = &self.layers()[index];
            if let Some(state) = stage.state(layer.size) {
                tell(Step::layer(layer, state));
            }
            match stage {
                Stage::Ended(Outcome::Fetched(fetched)) => {
                    if let Some(applied) = &fetched.applied {
                        self.check(index, config, applied)?;
                    }
                    places[index] = Place::Come(fetched);
                }
                Stage::Ended(Outcome::FailedElsewhere) => seat.join(index),
                Stage::Ended(Outcome::Failed(error)) => {
                    let mut error = error.lock().unwrap_or_else(PoisonError::into_inner);
                    // One image may have the same layer twice.
                    return Err(error.take().unwrap_or(Error::NotVerified(layer.digest)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn hear(&self, news: &Receiver<(usize, Stage)>) -> Result<(usize, Stage)> {
        loop {
            let heard = news.recv_timeout(BETWEEN_LOOKS);
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match heard {
                Ok(heard) => return Ok(heard),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Cancelled),
            }
        }
    }

    /// Makes snapshots of all layers that have come, bottom first. They, their blobs
    /// and the manifest are on the disk for good then, also what was begun before this
    /// pull, `since` when it runs.
    fn settle(
        &self,
        places: Vec<Place>,
        config: &ImageConfig,
        chain: &[ChainId],
        mut since: Epoch,
    ) -> Result<Vec<KeptLayer>> {
        let independent = self.inner.snapshots.capabilities().independent_layers;
        let mut kept = Vec::new();
        let mut ready = Vec::new();
        for (index, place) in places.into_iter().enumerate() {
            let fetched = match place {
                Place::Here(layer) => {
                    kept.push(layer);
                    continue;
                }
                Place::Come(fetched) => fetched,
                Place::Coming => return Err(Error::NotVerified(self.layers()[index].digest)),
            };
            since = since.min(fetched.since);
            let made = self.make(&fetched, index, chain, config)?;
            kept.push(self.kept(&fetched, &made, index, chain, config)?);
            if independent {
                ready.push((index, made.files));
            } else {
                self.inner.make_durable(since)?;
                self.commit(index, made.files, chain)?;
            }
        }
        self.inner.make_durable(since)?;
        for (index, files) in ready {
            self.commit(index, files, chain)?;
        }
        Ok(kept)
    }

    /// The files of a layer that has come.
    fn make(
        &self,
        fetched: &Arc<Fetched>,
        index: usize,
        chain: &[ChainId],
        config: &ImageConfig,
    ) -> Result<Made> {
        if let Some(taken) = fetched.take(chain[index]) {
            return Ok(Made {
                size: fetched.applied.map(|applied| applied.size),
                files: Files::Taken(taken),
            });
        }
        if self.inner.has_layer(chain[index]) {
            return Ok(Made {
                size: fetched.applied.map(|applied| applied.size),
                files: Files::There,
            });
        }
        let layer = &self.layers()[index];
        let parent = index.checked_sub(1).map(|below| chain[below]);
        let parent = parent.filter(|_| !self.inner.snapshots.capabilities().independent_layers);
        let (active, applied) = self
            .inner
            .unpack_blob(fetched.blob(), parent, &mut |_| Ok(()))
            .map_err(|error| layer::named(layer.digest, error))?;
        self.check(index, config, &applied)?;
        Ok(Made {
            size: Some(applied.size),
            files: Files::Own(active),
        })
    }

    /// A layer must be what the configuration says.
    fn check(
        &self,
        index: usize,
        config: &ImageConfig,
        applied: &gantry_archive::Applied,
    ) -> Result<()> {
        let expected = config.rootfs.diff_ids[index];
        if applied.diff_id == expected {
            return Ok(());
        }
        let layer = &self.layers()[index];
        // The right bytes of a wrong image: nobody wants them again.
        self.inner.content.forget_partial(layer.digest, layer.size);
        Err(Error::Manifest(format!(
            "layers from manifest don't match image configuration: {} unpacks to {}, not to \
             {expected}",
            layer.digest, applied.diff_id
        )))
    }

    fn commit(&self, index: usize, files: Files, chain: &[ChainId]) -> Result<()> {
        let parent = index.checked_sub(1).map(|below| chain[below]);
        let new = match files {
            Files::Taken(taken) => taken.commit(chain[index], parent)?,
            Files::Own(active) => active.commit(chain[index], parent)?,
            Files::There => false,
        };
        match new {
            true => Ok(()),
            false => self.inner.sync_those(&chain[index..=index]),
        }
    }

    fn kept(
        &self,
        fetched: &Fetched,
        made: &Made,
        index: usize,
        chain: &[ChainId],
        config: &ImageConfig,
    ) -> Result<KeptLayer> {
        let layer = &self.layers()[index];
        Ok(KeptLayer {
            diff_id: config.rootfs.diff_ids[index],
            blob: Some((
                self.inner.content.hold(fetched.blob().digest())?,
                layer.media_type.clone(),
            )),
            size: match made.size {
                Some(size) => size,
                None => self.inner.snapshots.usage(&chain[index].to_string())?.bytes,
            },
        })
    }
}

/// A layer that can be committed.
struct Made {
    files: Files,
    /// Sum of the sizes of its files, where that is known.
    size: Option<u64>,
}

/// Whose the files are that become a layer.
enum Files {
    /// The download's.
    Taken(Taken),
    /// Unpacked for this pull.
    Own(Unpacking),
    /// They are the layer already.
    There,
}

/// A pull's place among those who listen; it leaves when dropped.
struct Seat<'s, 'p> {
    pull: &'s Pull<'p>,
    who: u64,
    sender: Sender<(usize, Stage)>,
}

impl Seat<'_, '_> {
    fn join(&self, index: usize) {
        let wanted = manifest::wanted(&self.pull.layers()[index]);
        let listener = Listener {
            layer: index,
            news: self.sender.clone(),
            who: self.who,
        };
        Downloads::join(self.pull.inner, &wanted, self.pull.source, listener);
    }
}

impl Drop for Seat<'_, '_> {
    fn drop(&mut self) {
        self.pull.inner.downloads.leave(self.who);
    }
}
