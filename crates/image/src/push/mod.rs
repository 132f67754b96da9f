//! `docker push`: an image to a registry.
//!
//! ```text
//!  image ──► plan ──► each layer, several at once: there? mounted? packed, sent ──► configuration ──► manifest
//! ```
//!
//! What came with a manifest leaves with the same one, byte for byte. For all
//! others a manifest is made of packed layers; a layer that is here in no packing
//! that will do is packed once, and kept so.

mod bundle;
mod layer;
mod packing;
mod plan;
mod progress;
mod slots;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use gantry_metadata::references;
use gantry_registry::Repository;
use gantry_types::{Descriptor, Digest, ImageId, Reference};

use crate::leaving::Leaving;
use crate::{Error, ImageStore, Result};
use layer::Layers;
pub use packing::{LayerCompression, Packing};
use plan::Plan;
pub use progress::{PushState, PushStep};
pub(crate) use slots::Uploads;

/// So many parts of one image are looked after at a time.
const MOST_THREADS: usize = 16;

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
        let diff_ids = plan.layers.iter().map(|layer| layer.diff_id).collect();
        // Its layers are packed of their files: these stay though the image be removed.
        let _leaving = Leaving::new(self, "push", diff_ids)?;
        if let Some(bundle) = inner.stored_bundle(plan.id)? {
            match self.push_bundle(&bundle, repository, reference, tell) {
                // Not all of it is here any more; the image itself may be.
                Err(Error::NotHere(_)) => {}
                pushed => return pushed,
            }
        }
        // Whether anybody is there is said before anything is said of layers.
        let layers = Layers {
            inner,
            repository,
            reference,
        };
        let send = Send {
            config_is_there: layers.has_config(plan.id)?,
            layers,
        };
        let (plan, layers) = match send.parts(&plan, tell) {
            // What came from elsewhere cannot leave as it came: not all of it is here.
            Err(Error::NotHere(_)) => {
                let plan = inner.plan(reference, false)?;
                let layers = send.parts(&plan, tell)?;
                (plan, layers)
            }
            layers => (plan, layers?),
        };
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

    /// How layers that leave are packed; as they are here when nothing is said, and by
    /// zstd if they are not.
    pub fn set_layer_compression(&self, compression: Option<LayerCompression>) {
        self.inner().uploads.set_compression(compression);
    }
}

/// The parts of an image on their way to one repository.
struct Send<'p> {
    layers: Layers<'p>,
    config_is_there: bool,
}

impl Send<'_> {
    /// Brings all parts there, several at once: questions are short, and only for the
    /// bytes there are so many places. Answers how the layers are called there, bottom
    /// first.
    fn parts(&self, plan: &Plan, tell: &mut dyn FnMut(PushStep)) -> Result<Vec<Descriptor>> {
        let count = plan.layers.len();
        for (index, layer) in plan.layers.iter().enumerate().rev() {
            tell(PushStep::of(layer.diff_id, PushState::Preparing));
            // The topmost ones wait: it begins with the lowest.
            if index >= self.layers.inner.uploads.most() {
                tell(PushStep::of(layer.diff_id, PushState::Waiting));
            }
        }
        let layers = &self.layers;
        let sent: Vec<Mutex<Option<Descriptor>>> = (0..count).map(|_| Mutex::default()).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure = Mutex::new(None);
        let part = |index: usize, news: &Sender<PushStep>| -> Result<()> {
            let Some(layer) = plan.layers.get(index) else {
                return match self.config_is_there {
                    true => Ok(()),
                    false => layers.send_config(plan),
                };
            };
            // The first one of those with the same bytes brings them there.
            if plan.first_like(index) == index {
                *lock(&sent[index]) = Some(layers.send(layer, news)?);
            }
            Ok(())
        };
        let work = |news: Sender<PushStep>| {
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index > count {
                    break;
                }
                if let Err(error) = part(index, &news) {
                    failed.store(true, Ordering::Relaxed);
                    lock(&failure).get_or_insert(error);
                }
            }
        };
        let (news, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..MOST_THREADS.min(count + 1) {
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
        (0..count)
            .map(|index| {
                let sent = lock(&sent[plan.first_like(index)]).clone();
                sent.ok_or(Error::NotHere(plan.layers[index].diff_id))
            })
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
