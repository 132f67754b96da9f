//! One part on its way: looked for, mounted, or sent.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use gantry_content::Blob;
use gantry_metadata::{View, images, references};
use gantry_registry::Repository;
use gantry_types::{Descriptor, ImageId, Reference};

use super::plan::{Plan, PlannedLayer};
use super::progress::{PushState, PushStep};
use crate::store::Inner;
use crate::{Error, Result};

/// How often a layer's progress is told.
const PAUSE: Duration = Duration::from_millis(100);
/// From so many other repositories a layer is tried to be mounted.
const MOST_SOURCES: usize = 3;

/// Brings layers to one repository.
pub(super) struct Layers<'p> {
    pub(super) inner: &'p Inner,
    pub(super) repository: &'p Repository,
    pub(super) reference: &'p Reference,
}

impl Layers<'_> {
    /// Brings a layer there, as far as it is not, and answers how it is called there.
    pub(super) fn send(&self, layer: &PlannedLayer, news: &Sender<PushStep>) -> Result<Descriptor> {
        let tell = |state| {
            // The listener lives as long as the push.
            let _ = news.send(PushStep::of(layer.diff_id, state));
        };
        let (descriptor, blob) = match &layer.came {
            Some(came) => (came.clone(), self.inner.content.hold(came.digest).ok()),
            None => {
                let (descriptor, blob) = self.inner.packed_layer(layer.diff_id)?;
                (descriptor, Some(blob))
            }
        };
        let urls = descriptor.urls.as_ref();
        if urls.is_some_and(|urls| !urls.is_empty()) {
            tell(PushState::Foreign);
            return Ok(descriptor);
        }
        let known = self.known(|view| images::with_layer(view, layer.diff_id))?;
        // One question is enough where it is most likely not there, but elsewhere.
        let likely = known.here || known.elsewhere.is_empty();
        if likely && self.repository.head_blob(descriptor.digest)?.is_some() {
            tell(PushState::Exists);
            return Ok(descriptor);
        }
        for from in known.elsewhere {
            if self.repository.mount(descriptor.digest, &from)? {
                tell(PushState::Mounted { from });
                return Ok(descriptor);
            }
        }
        if !likely && self.repository.head_blob(descriptor.digest)?.is_some() {
            tell(PushState::Exists);
            return Ok(descriptor);
        }
        let blob = blob.ok_or(Error::NotHere(layer.diff_id))?;
        self.upload(&descriptor, &blob, &tell)?;
        tell(PushState::Pushed);
        Ok(descriptor)
    }

    fn upload(&self, descriptor: &Descriptor, blob: &Blob, tell: &dyn Fn(PushState)) -> Result<()> {
        let total = blob.size();
        if total != descriptor.size {
            return Err(Error::Damaged {
                id: blob.digest(),
                reason: format!("{total} bytes, expected {}", descriptor.size),
            });
        }
        let open = |offset: u64| -> io::Result<Box<dyn Read + '_>> {
            let file = self.inner.content.reader(blob.digest());
            let mut file = file.map_err(|error| io::Error::other(error.to_string()))?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(Box::new(Told {
                file,
                current: offset,
                total,
                last: Instant::now(),
                tell,
            }))
        };
        let _slot = self.inner.uploads.take();
        tell(PushState::Pushing { current: 0, total });
        Ok(self.repository.upload(blob.digest(), total, &open)?)
    }

    /// Whether the configuration is there; mounted, if it is likely to be elsewhere.
    pub(super) fn has_config(&self, id: ImageId) -> Result<bool> {
        let known = self.known(|_| Ok(vec![id]))?;
        if !known.here {
            for from in known.elsewhere {
                if self.repository.mount(id.0, &from)? {
                    return Ok(true);
                }
            }
        }
        Ok(self.repository.head_blob(id.0)?.is_some())
    }

    /// Brings the configuration there, which it does not have.
    pub(super) fn send_config(&self, plan: &Plan) -> Result<()> {
        let (digest, size) = (plan.id.0, plan.config.len() as u64);
        Ok(self.repository.upload(digest, size, &|offset| {
            let mut reader = Cursor::new(&plan.config[..]);
            reader.set_position(offset);
            Ok(Box::new(reader))
        })?)
    }

    /// Which repositories of the registry are known to have what the images have:
    /// those came from there, or went there. The latest is the most likely to be
    /// right still.
    fn known(
        &self,
        images: impl FnOnce(&View<'_>) -> Result<Vec<ImageId>, gantry_metadata::Error>,
    ) -> Result<Known> {
        let (mut here, mut elsewhere) = (false, Vec::new());
        self.inner.database.read(|view| -> Result<()> {
            for image in images(view)? {
                for name in references::newest_by_image(view, image)? {
                    let path = name.path();
                    if name.digest().is_none() || name.domain() != self.reference.domain() {
                        continue;
                    }
                    if path == self.reference.path() {
                        here = true;
                    } else if !elsewhere.iter().any(|other| other == path) {
                        elsewhere.push(path.to_owned());
                    }
                }
            }
            Ok(())
        })?;
        elsewhere.truncate(MOST_SOURCES);
        Ok(Known { here, elsewhere })
    }
}

/// Where something is, as far as is known here.
struct Known {
    /// In the repository that it shall go to.
    here: bool,
    /// In these other ones.
    elsewhere: Vec<String>,
}

/// A blob that tells how much of it has left.
struct Told<'t> {
    file: File,
    current: u64,
    total: u64,
    last: Instant,
    tell: &'t dyn Fn(PushState),
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.current += count as u64;
        if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            let (current, total) = (self.current, self.total);
            (self.tell)(PushState::Pushing { current, total });
        }
        Ok(count)
    }
}
