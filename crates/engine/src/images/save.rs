//! How images leave in an archive.

use std::io;

use gantry_archive::tar::Pieces;
pub use gantry_image::Format as ArchiveFormat;
use gantry_image::{SaveOptions, Saving};
use gantry_types::Platform;

use super::Images;
use crate::error::{Error, Result};

/// How much of an archive is handed on at a time.
const PIECE: usize = 512 << 10;

/// What to save.
#[derive(Debug, Clone, Default)]
pub struct SaveQuery {
    /// Names, repositories and ids.
    pub names: Vec<String>,
    /// The platform that all of them must have.
    pub platform: Option<Platform>,
    /// How the archive is laid out.
    pub format: ArchiveFormat,
}

/// Images that are about to leave.
pub struct Saved {
    saving: Saving,
}

impl Images {
    /// Finds the images that are to be saved.
    ///
    /// # Errors
    /// When a name stands for nothing, or an image is for another platform.
    pub fn save(&self, query: &SaveQuery) -> Result<Saved> {
        let saving = self.store.save(&SaveOptions {
            names: query.names.clone(),
            platform: query.platform.clone(),
            format: query.format,
        })?;
        for id in saving.ids() {
            self.publish("save", *id, &id.to_string());
        }
        Ok(Saved { saving })
    }
}

impl Saved {
    /// Gives the archive, piece by piece.
    ///
    /// # Errors
    /// When a blob cannot be read or a piece is not taken.
    pub fn write(&self, push: &mut dyn FnMut(Vec<u8>) -> io::Result<()>) -> Result<()> {
        let written = self.saving.write(Pieces::new(PIECE, push));
        let finished = written.map(Pieces::finish);
        gantry_sys::give_back_heap();
        finished?.map_err(|error| Error::io("write", "an archive of images", error))
    }
}
