//! Table `image_forms`: in which form an image leaves, where that is not the plain one:
//! with an index of several manifests, with attestations, with annotations. Documents
//! are kept here; layers are blobs of the content store.

use gantry_types::{Digest, ImageId};
use rusqlite::{OptionalExtension, params};

use crate::{Error, Tx, View, column};

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// What its bytes hash to.
    pub digest: Digest,
    /// Its media type; empty for a layer.
    pub media_type: String,
    /// Its bytes; none for a layer.
    pub bytes: Option<Vec<u8>>,
}

/// Records the form of an image (which exists), its root first; an older one goes.
pub fn set(tx: &Tx<'_>, image: ImageId, parts: &[PartRow]) -> Result<(), Error> {
    let image = image.to_string();
    let bad = || Error::at("record form of image");
    tx.connection()
        .prepare_cached("DELETE FROM image_forms WHERE image = ?1")
        .and_then(|mut s| s.execute([&image]))
        .map_err(bad())?;
    let mut insert = tx
        .connection()
        .prepare_cached(
            "INSERT INTO image_forms (image, position, digest, media_type, bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .map_err(bad())?;
    for (position, part) in parts.iter().enumerate() {
        insert
            .execute(params![
                image,
                position as i64,
                part.digest.to_string(),
                part.media_type,
                part.bytes
            ])
            .map_err(bad())?;
    }
    Ok(())
}

/// The form of an image, its root first; nothing for the plain one.
pub fn of_image(view: &View<'_>, image: ImageId) -> Result<Vec<PartRow>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT digest, media_type, bytes FROM image_forms WHERE image = ?1 ORDER BY position",
        )
        .and_then(|mut s| {
            let rows = s.query_map([image.to_string()], |row| {
                Ok(PartRow {
                    digest: column::digest(row, 0)?,
                    media_type: row.get(1)?,
                    bytes: row.get(2)?,
                })
            })?;
            rows.collect()
        })
        .map_err(Error::at("read form of image"))
}

/// The image whose form has this root.
pub fn by_root(view: &View<'_>, root: Digest) -> Result<Option<ImageId>, Error> {
    view.connection()
        .prepare_cached("SELECT image FROM image_forms WHERE digest = ?1 AND position = 0")
        .and_then(|mut s| {
            s.query_row([root.to_string()], |row| column::digest(row, 0))
                .optional()
        })
        .map(|digest| digest.map(ImageId))
        .map_err(Error::at("find form of image"))
}

/// A document of any image's form.
pub fn document(view: &View<'_>, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT bytes FROM image_forms WHERE digest = ?1 AND bytes IS NOT NULL LIMIT 1",
        )
        .and_then(|mut s| {
            s.query_row([digest.to_string()], |row| row.get(0))
                .optional()
        })
        .map_err(Error::at("read document of image"))
}
