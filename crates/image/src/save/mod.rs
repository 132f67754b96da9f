//! `docker save`: images to an archive, straight from the content store.
//!
//! ```text
//!  names ──► images, held ──► documents ──► entries by name ──► tar
//! ```
//!
//! Blobs leave as they lie here (packed), and layers that were made here are packed (as
//! plain tar) while the archive is written; nothing is copied to the disk before, and the
//! same images always give the same bytes.

mod docker_v1;
pub(crate) mod entries;
mod layout;
mod names;

use gantry_archive::tar::Output;
use gantry_metadata::images;
use gantry_types::{ImageId, Platform, Reference};

use crate::leaving::Leaving;
use crate::portable::Portable;
use crate::{Error, ImageStore, Result};
use entries::Entries;

/// What to save.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveOptions {
    /// Names, repositories (all their tags) and ids.
    pub names: Vec<String>,
    /// The platform that all of them must have.
    pub platform: Option<Platform>,
    /// How the archive is laid out.
    pub format: Format,
}

/// How an archive of images is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// As Docker does it today: an OCI layout with Docker's documents beside it.
    #[default]
    Current,
    /// As Docker did it before 1.10: a directory for each layer.
    DockerV1,
}

/// Images about to be saved; they are kept while this lives.
pub struct Saving {
    ids: Vec<ImageId>,
    entries: Entries,
    /// Goes last: what is left of removed images is collected then.
    _leaving: Leaving,
}

/// An image with the names that it shall have in the archive.
struct Chosen {
    portable: Portable,
    references: Vec<Reference>,
}

impl ImageStore {
    /// Finds all that is to be saved.
    ///
    /// # Errors
    /// `Reference`, `NoSuchImage`, `NoReference`, `Ambiguous` for a name;
    /// `ExportPlatform`; `Damaged` when a layer is missing.
    pub fn save(&self, options: &SaveOptions) -> Result<Saving> {
        let inner = self.inner();
        let (chosen, diff_ids) = self.database().read(|view| -> Result<_> {
            let chosen = names::choose(view, &options.names)?;
            let mut diff_ids = Vec::new();
            for (id, _) in &chosen {
                let layers = images::layers(view, *id)?.into_iter();
                diff_ids.extend(layers.map(|(diff_id, _)| diff_id));
            }
            Ok((chosen, diff_ids))
        })?;
        let leaving = Leaving::new(self, "save", diff_ids)?;
        let images = self.database().read(|view| {
            let mut images = Vec::new();
            for (id, references) in chosen {
                let row = images::get(view, id)?.ok_or(Error::NoSuchImage(id.to_string()))?;
                let portable = inner.portable(view, row)?;
                let fits = |wanted: &&Platform| !portable.image.platform().matches(wanted);
                if let Some(wanted) = options.platform.as_ref().filter(fits) {
                    return Err(Error::ExportPlatform(wanted.to_string()));
                }
                images.push(Chosen {
                    portable,
                    references,
                });
            }
            Ok(images)
        })?;
        let ids = images
            .iter()
            .map(|chosen| chosen.portable.image.id)
            .collect();
        Ok(Saving {
            ids,
            entries: match options.format {
                Format::Current => layout::entries(inner, images)?,
                Format::DockerV1 => docker_v1::entries(inner, images)?,
            },
            _leaving: leaving,
        })
    }
}

impl Saving {
    /// The images, in the order of their first names.
    pub fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// `Stream` when the output fails; `Content`, `Damaged` when a blob is gone or
    /// shorter than recorded.
    pub fn write<O: Output>(&self, output: O) -> Result<O> {
        self.entries.write(output)
    }
}
