//! `docker push`: an image to a registry.
//!
//! ```text
//!  image ──► plan ──► each layer, several at once: there? mounted? packed, sent ──► configuration ──► manifest
//! ```
//!
//! What came with a manifest leaves with the same one, byte for byte. For all
//! others a manifest is made of packed layers; a layer that is here in no packing
//! that will do is packed once, and kept so.

mod layer;
mod packing;
mod plan;
mod progress;
mod slots;

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use gantry_metadata::references;
use gantry_registry::Repository;
use gantry_types::{Descriptor, Digest, ImageId, Reference};

use crate::store::Inner;
use crate::{Error, ImageStore, Result};
use layer::Layers;
pub use packing::LayerCompression;
use plan::Plan;
pub use progress::{PushState, PushStep};
pub(crate) use slots::Uploads;

/// An image that is in a registry now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The image.
    pub id: ImageId,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The manifest's length.
    pub size: u64,
}

impl ImageStore {
    /// Brings the image that has this name (with a tag) to its registry; the digest
    /// of its manifest becomes another name of it. `tell` hears what happens, on the
    /// caller's thread.
    ///
    /// # Errors
    /// `NoTag`; those of the registry, in its words; `Damaged` for a layer that is not
    /// here any more.
    pub fn push(
        &self,
        repository: &Repository,
        reference: &Reference,
        tell: &mut dyn FnMut(PushStep),
    ) -> Result<Pushed> {
        let inner = self.inner();
        let plan = inner.plan(reference, true)?;
        // Whether anybody is there is said before anything is said of layers.
        let known = match repository.head_blob(plan.id.0) {
            Err(error @ gantry_registry::Error::Request { .. }) => return Err(error.into()),
            known => known,
        };
        let (plan, layers) = match inner.send_layers(repository, reference, &plan, tell) {
            // What came from elsewhere cannot leave as it came: not all of it is here.
            Err(Error::NotHere(_)) => {
                let plan = inner.plan(reference, false)?;
                let layers = inner.send_layers(repository, reference, &plan, tell)?;
                (plan, layers)
            }
            layers => (plan, layers?),
        };
        if known?.is_none() {
            send_config(repository, &plan)?;
        }
        let (id, manifest) = (plan.id, plan.manifest(&layers)?);
        let tag = reference.tag().unwrap_or("latest");
        let digest = repository.put_manifest(tag, &manifest.media_type, &manifest.bytes)?;
        let name: Reference = format!("{}@{digest}", reference.name()).parse()?;
        inner.database.write(|tx| references::set(tx, &name, id))?;
        Ok(Pushed {
            id,
            digest,
            size: manifest.bytes.len() as u64,
        })
    }

    /// How many layers leave at a time, in all pushes together.
    pub fn set_concurrent_uploads(&self, most: usize) {
        self.inner().uploads.set_most(most);
    }

    /// How the layers are packed that are made here, and those that leave; as they
    /// are here when nothing is said.
    pub fn set_layer_compression(&self, compression: Option<LayerCompression>) {
        self.inner().uploads.set_compression(compression);
    }
}

impl Inner {
    /// Brings all layers there; answers how they are called there, bottom first.
    fn send_layers(
        &self,
        repository: &Repository,
        reference: &Reference,
        plan: &Plan,
        tell: &mut dyn FnMut(PushStep),
    ) -> Result<Vec<Descriptor>> {
        let count = plan.layers.len();
        for (index, layer) in plan.layers.iter().enumerate().rev() {
            tell(PushStep::of(layer.diff_id, PushState::Preparing));
            // The topmost ones wait: it begins with the lowest.
            if index >= self.uploads.most() {
                tell(PushStep::of(layer.diff_id, PushState::Waiting));
            }
        }
        let layers = Layers {
            inner: self,
            repository,
            reference,
        };
        let sent: Vec<Mutex<Option<Descriptor>>> = (0..count).map(|_| Mutex::default()).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure = Mutex::new(None);
        let work = |news: Sender<PushStep>| {
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(layer) = plan.layers.get(index) else {
                    break;
                };
                // The one that holds the same bytes brings them there.
                let first = plan
                    .layers
                    .iter()
                    .position(|other| other.diff_id == layer.diff_id);
                if first != Some(index) {
                    continue;
                }
                let _slot = self.uploads.take();
                match layers.send(layer, &news) {
                    Ok(descriptor) => *lock(&sent[index]) = Some(descriptor),
                    Err(error) => {
                        failed.store(true, Ordering::Relaxed);
                        lock(&failure).get_or_insert(error);
                    }
                }
            }
        };
        let (news, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..count.min(self.uploads.most()) {
                let news = news.clone();
                std::thread::Builder::new()
                    .name("upload".to_owned())
                    .spawn_scoped(scope, || work(news))
                    .map_err(Error::disk("start", "a thread"))?;
            }
            drop(news);
            heard.into_iter().for_each(&mut *tell);
            Ok(())
        })?;
        if let Some(error) = lock(&failure).take() {
            return Err(error);
        }
        let of = |index: usize| {
            let id = plan.layers[index].diff_id;
            let first = plan.layers.iter().position(|other| other.diff_id == id);
            lock(&sent[first.unwrap_or(index)]).clone()
        };
        (0..count)
            .map(|index| of(index).ok_or(Error::NotHere(plan.layers[index].diff_id)))
            .collect()
    }
}

fn send_config(repository: &Repository, plan: &Plan) -> Result<()> {
    let (digest, size) = (plan.id.0, plan.config.len() as u64);
    repository.upload(digest, size, &|offset| {
        let mut reader = Cursor::new(&plan.config[..]);
        reader.set_position(offset);
        Ok(Box::new(reader))
    })?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
