//! Layers that were made here: their files are all that is kept of them. The archive that
//! a layer's digest is of is made of these whenever somebody wants it, always the same
//! bytes, and is checked while it is made.

use std::fs::File;
use std::io::{PipeReader, Write, pipe};
use std::path::PathBuf;

use gantry_archive::{PackOptions, Whiteouts, pack};
use gantry_metadata::{View, layers};
use gantry_types::{ChainId, DiffId};

use crate::store::Inner;
use crate::{Error, Result};

/// A layer that was made here. Who has it keeps its snapshot from removal.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) diff_id: DiffId,
    /// Sum of the sizes of its files.
    pub(crate) size: u64,
    /// The archive's length.
    pub(crate) archive: u64,
    directory: PathBuf,
}

impl Inner {
    /// The layer, if it was made here, in any snapshot or in that one.
    pub(crate) fn made(
        &self,
        view: &View<'_>,
        diff_id: DiffId,
        chain: Option<ChainId>,
    ) -> Result<Option<Made>> {
        let rows = layers::made(view, diff_id)?.into_iter();
        let mut rows = rows.filter(|row| chain.is_none_or(|chain| chain == row.chain));
        Ok(rows.find_map(|row| {
            let directory = self.snapshots.directory(&row.chain.to_string()).ok()?;
            directory.is_dir().then_some(Made {
                diff_id,
                size: row.size,
                archive: row.archive,
                directory,
            })
        }))
    }
}

impl Made {
    /// Writes its archive.
    ///
    /// # Errors
    /// `Stream` when its files cannot be read or the writer fails; `Damaged` when they are
    /// not what they were.
    pub(crate) fn pack(&self, writer: impl Write) -> Result<()> {
        let root = File::open(&self.directory).map_err(Error::disk("open", &self.directory))?;
        let packed = pack(root, writer, &PackOptions::layer(Whiteouts::Overlay))?;
        match packed.diff_id == self.diff_id {
            true => Ok(()),
            false => Err(self.changed()),
        }
    }

    /// Lets somebody read its archive.
    ///
    /// # Errors
    /// Those of the reader; as of [`Self::pack`].
    pub(crate) fn read<T>(&self, read: impl FnOnce(PipeReader) -> Result<T>) -> Result<T> {
        let (reader, writer) = pipe().map_err(Error::disk("open", "a pipe"))?;
        std::thread::scope(|scope| {
            let packing = scope.spawn(move || self.pack(writer));
            let taken = read(reader);
            let packed = packing
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (packed, taken) {
                (Ok(()), taken) => taken,
                (Err(Error::Stream(gantry_archive::Error::Write { .. })), taken) => {
                    taken.and_then(|_| Err(self.changed()))
                }
                (Err(error), _) => Err(error),
            }
        })
    }

    fn changed(&self) -> Error {
        Error::Damaged {
            id: self.diff_id.0,
            reason: format!(
                "the files of this layer were changed on the disk, in {}",
                self.directory.display()
            ),
        }
    }
}
