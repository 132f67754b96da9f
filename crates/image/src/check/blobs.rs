//! Blobs: there, as long as they should be, and with the bytes that their digests say.

use std::fs::File;

use gantry_archive::{PackOptions, Whiteouts};
use gantry_content::{Blob, Recorded};
use gantry_metadata::{Tx, blobs, layers};
use gantry_types::{DiffId, Digest, media_type};

use super::{Check, REPAIR};
use crate::Result;
use crate::made::Made;

/// A blob that is not what it should be.
pub(super) struct Damaged {
    digest: Digest,
    size: u64,
    problem: String,
    /// Which file it is: another one may be good.
    file: Option<(u64, i64)>,
}

impl Check<'_> {
    /// Looks at all blobs; those that are damaged are dealt with when the layers are
    /// known, from which some can be made again.
    pub(super) fn blobs(&mut self) -> Result<Vec<Damaged>> {
        let mut damaged = Vec::new();
        for row in self.store.database().read(blobs::list)? {
            match self.blob(row.digest, row.size)? {
                None => {}
                Some(Ok(())) => drop(self.good.insert(row.digest)),
                Some(Err(blob)) => damaged.push(blob),
            }
            self.checked.blobs += 1;
        }
        Ok(damaged)
    }

    /// Looks at a blob; none that has gone.
    fn blob(&self, digest: Digest, size: u64) -> Result<Option<Result<(), Damaged>>> {
        let content = &self.store.inner().content;
        let damaged = |problem| Damaged {
            digest,
            size,
            problem,
            file: content.identity(digest),
        };
        Ok(match content.recorded(digest)? {
            Recorded::No => None,
            Recorded::Missing => Some(Err(damaged("missing".to_owned()))),
            Recorded::There(blob) => {
                let problem = content.damage(digest, size, !self.options.quick);
                let found = problem.map(damaged);
                content.let_go(blob)?;
                Some(found.map_or(Ok(()), Err))
            }
        })
    }

    pub(super) fn damaged_blobs(&mut self, damaged: Vec<Damaged>) -> Result<()> {
        for blob in damaged {
            // It may have gone, or come again, while the layers were looked at.
            let Some(Err(blob)) = self.blob(blob.digest, blob.size)? else {
                continue;
            };
            let Damaged {
                digest,
                problem,
                file,
                ..
            } = blob;
            let (rows, names) = self.holders(digest)?;
            let problem = match names.is_empty() {
                true => problem,
                false => format!("{problem} (of {names})"),
            };
            let again = "pull or load the image again; until then it runs, but cannot be saved or pushed as it came";
            let repair = |check: &Self| check.replace((digest, file), &rows, again);
            self.found(("blob", digest.to_string(), problem), repair, REPAIR);
        }
        Ok(())
    }

    /// Puts another blob with the same layer in the place of a damaged one; where there
    /// is none to be had, the record goes, so that the next pull fetches it.
    fn replace(
        &self,
        (digest, file): (Digest, Option<(u64, i64)>),
        rows: &[layers::LayerRow],
        again: &str,
    ) -> Result<Result<String, String>> {
        let mut lost = rows.is_empty();
        let mut made = Vec::new();
        for row in rows {
            if self.has_other(row.diff_id, digest)? {
                continue;
            }
            match self.make_blob(row.diff_id)? {
                Some(blob) => made.push((row, blob)),
                None => lost = true,
            }
        }
        let database = self.store.database();
        let change = || database.write_durable(|tx| exchange(tx, digest, &made));
        // One that was made again may have the very same bytes, and lie there by now.
        let gone = match made.iter().any(|(_, blob)| blob.digest() == digest) {
            true => change()?,
            false => {
                let content = &self.store.inner().content;
                content.remove_damaged(digest, file, change)?
            }
        };
        if !gone {
            return Ok(Err("in use just now: check again".to_owned()));
        }
        Ok(match (lost, rows.is_empty()) {
            (true, true) => Ok("removed: the image goes on without its manifest".to_owned()),
            (true, false) => Err(format!("removed; {again}")),
            (false, _) if made.is_empty() => {
                Ok("removed: the layer is whole without it".to_owned())
            }
            (false, _) => Ok("made again from the layer's files".to_owned()),
        })
    }

    /// Whether another blob holds the layer, and is good, or its own files do.
    fn has_other(&self, diff_id: DiffId, but: Digest) -> Result<bool> {
        let (database, inner) = (self.store.database(), self.store.inner());
        let (rows, made) = database.read(|view| -> Result<_> {
            let rows = layers::by_diff_id(view, diff_id)?;
            Ok((rows, inner.made(view, diff_id, None)?))
        })?;
        let mut others = rows.iter().filter(|row| row.blob != but);
        let is_whole = |made: Made| made.pack(std::io::sink()).is_ok();
        Ok(others.any(|row| self.good.contains(&row.blob)) || made.is_some_and(is_whole))
    }

    /// Makes a layer's archive anew; nothing when that does not give the very same layer.
    fn make_blob(&self, diff_id: DiffId) -> Result<Option<Blob>> {
        let inner = self.store.inner();
        // Elsewhere a directory holds more than its layer.
        if !inner.snapshots.capabilities().independent_layers {
            return Ok(None);
        }
        for chain in self.chains_of(diff_id)? {
            let Ok(directory) = inner.snapshots.directory(&chain.to_string()) else {
                continue;
            };
            let Ok(root) = File::open(&directory) else {
                continue;
            };
            let options = PackOptions::layer(Whiteouts::Overlay);
            let mut draft = inner.content.draft()?;
            let Ok(packed) = gantry_archive::pack(root, &mut draft, &options) else {
                continue;
            };
            if packed.diff_id == diff_id {
                // A damaged file of the same name would be taken for it.
                return Ok(Some(draft.commit_anew_as(diff_id.0)?));
            }
        }
        Ok(None)
    }
}

/// Records blobs in the place of one that goes; whether this is the time.
fn exchange(tx: &Tx<'_>, gone: Digest, made: &[(&layers::LayerRow, Blob)]) -> Result<bool> {
    if !blobs::forget(tx, gone)? {
        return Ok(false);
    }
    for (row, blob) in made {
        blobs::insert(tx, blob.digest(), blob.size())?;
        layers::insert(
            tx,
            &layers::LayerRow {
                diff_id: row.diff_id,
                blob: blob.digest(),
                media_type: media_type::OCI_LAYER.to_owned(),
                size: row.size,
                blob_size: blob.size(),
            },
        )?;
    }
    Ok(true)
}
