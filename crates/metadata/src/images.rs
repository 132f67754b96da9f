//! Tables `images` and `image_layers`: every image, with the exact bytes of
//! its configuration document (whose digest is its id) and its layers.

use gantry_types::{ChainId, DiffId, Digest, ImageId};
use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View, column};

const COLUMNS: &str = "id, config, manifest, parent, top, size, created_at, tagged_at";

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRow {
    /// The digest of `config`.
    pub id: ImageId,
    /// The exact bytes of the configuration document.
    pub config: Vec<u8>,
    /// The manifest it was loaded or pulled with, a recorded blob.
    pub manifest: Option<Digest>,
    /// The image it was built from, where that is known.
    pub parent: Option<ImageId>,
    /// The chainID of all its layers; none for an image without layers.
    pub top: Option<ChainId>,
    /// Bytes of all its layers, unpacked.
    pub size: u64,
    /// When it came here, in nanoseconds since 1970.
    pub created_at: i64,
    /// When it was last tagged.
    pub tagged_at: Option<i64>,
}

/// Adds an image with its layers (bottom first); whether it is new. An image
/// that is there already stays as it is, but gets a manifest if it had none.
pub fn insert(tx: &Tx<'_>, row: &ImageRow, diff_ids: &[DiffId]) -> Result<bool, Error> {
    let id = row.id.to_string();
    let manifest = row.manifest.map(|digest| digest.to_string());
    let added = tx
        .connection()
        .prepare_cached(
            "INSERT INTO images (id, config, manifest, parent, top, size, created_at, tagged_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute(params![
                id,
                row.config,
                manifest,
                row.parent.map(|parent| parent.to_string()),
                row.top.map(|top| top.to_string()),
                column::signed(row.size),
                row.created_at,
                row.tagged_at
            ])
        })
        .map_err(Error::at("record image"))?;
    if added == 0 {
        tx.connection()
            .prepare_cached("UPDATE images SET manifest = coalesce(manifest, ?2) WHERE id = ?1")
            .and_then(|mut s| s.execute(params![id, manifest]))
            .map_err(Error::at("record manifest"))?;
        return Ok(false);
    }
    let mut insert = tx
        .connection()
        .prepare_cached(
            "INSERT INTO image_layers (image, position, diff_id, chain_id) VALUES (?1, ?2, ?3, ?4)",
        )
        .map_err(Error::at("record image layers"))?;
    for (position, (diff, chain)) in diff_ids.iter().zip(ChainId::chain(diff_ids)).enumerate() {
        insert
            .execute(params![
                id,
                position as i64,
                diff.to_string(),
                chain.to_string()
            ])
            .map_err(Error::at("record image layers"))?;
    }
    Ok(true)
}

/// Deletes an image that has no references; whether there was one.
pub fn delete(tx: &Tx<'_>, id: ImageId) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM images WHERE id = ?1")
        .and_then(|mut s| s.execute([id.to_string()]))
        .map(|n| n != 0)
        .map_err(Error::at("delete image"))
}

/// The image of that id.
pub fn get(view: &View<'_>, id: ImageId) -> Result<Option<ImageRow>, Error> {
    view.connection()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM images WHERE id = ?1"))
        .and_then(|mut s| s.query_row([id.to_string()], from_row).optional())
        .map_err(Error::at("read image"))
}

/// The image that came with this manifest.
pub fn by_manifest(view: &View<'_>, manifest: Digest) -> Result<Option<ImageRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM images WHERE manifest = ?1 LIMIT 1"
        ))
        .and_then(|mut s| s.query_row([manifest.to_string()], from_row).optional())
        .map_err(Error::at("read image by manifest"))
}

/// Up to two ids that start with `prefix` (hexadecimal digits, without the
/// algorithm): two mean that it is ambiguous.
pub fn ids_by_prefix(view: &View<'_>, prefix: &str) -> Result<Vec<ImageId>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT id FROM images WHERE id >= 'sha256:' || ?1 AND id < 'sha256:' || ?1 || 'g' \
             ORDER BY id LIMIT 2",
        )
        .and_then(|mut s| {
            s.query_map([prefix], |row| column::digest(row, 0).map(ImageId))?
                .collect()
        })
        .map_err(Error::at("read image by prefix"))
}

/// All images, newest (by arrival) first.
pub fn list(view: &View<'_>) -> Result<Vec<ImageRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM images ORDER BY created_at DESC, id"
        ))
        .and_then(|mut s| s.query_map([], from_row)?.collect())
        .map_err(Error::at("list images"))
}

/// The number of images.
pub fn count(view: &View<'_>) -> Result<u64, Error> {
    view.connection()
        .prepare_cached("SELECT count(*) FROM images")
        .and_then(|mut s| s.query_row([], |row| column::unsigned(row, 0)))
        .map_err(Error::at("count images"))
}

/// The images built from this one.
pub fn children(view: &View<'_>, parent: ImageId) -> Result<Vec<ImageId>, Error> {
    view.connection()
        .prepare_cached("SELECT id FROM images WHERE parent = ?1 ORDER BY id")
        .and_then(|mut s| {
            s.query_map([parent.to_string()], |row| {
                column::digest(row, 0).map(ImageId)
            })?
            .collect()
        })
        .map_err(Error::at("list children of image"))
}

/// The layers of an image, bottom first.
pub fn layers(view: &View<'_>, id: ImageId) -> Result<Vec<(DiffId, ChainId)>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT diff_id, chain_id FROM image_layers WHERE image = ?1 ORDER BY position",
        )
        .and_then(|mut s| {
            s.query_map([id.to_string()], |row| {
                Ok((
                    DiffId(column::digest(row, 0)?),
                    ChainId(column::digest(row, 1)?),
                ))
            })?
            .collect()
        })
        .map_err(Error::at("list layers of image"))
}

/// The images that have this layer, the newest (by arrival) first.
pub fn with_layer(view: &View<'_>, layer: DiffId) -> Result<Vec<ImageId>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT DISTINCT id FROM images JOIN image_layers ON image = id \
             WHERE diff_id = ?1 ORDER BY created_at DESC, id",
        )
        .and_then(|mut s| {
            s.query_map([layer.to_string()], |row| {
                column::digest(row, 0).map(ImageId)
            })?
            .collect()
        })
        .map_err(Error::at("list images with layer"))
}

/// How many images have this state of layers in their chain.
pub fn using_chain(view: &View<'_>, chain: ChainId) -> Result<u64, Error> {
    view.connection()
        .prepare_cached("SELECT count(*) FROM image_layers WHERE chain_id = ?1")
        .and_then(|mut s| s.query_row([chain.to_string()], |row| column::unsigned(row, 0)))
        .map_err(Error::at("count users of layer"))
}

/// How many images have the layer, wherever in them.
pub fn using_diff(view: &View<'_>, diff_id: DiffId) -> Result<u64, Error> {
    view.connection()
        .prepare_cached("SELECT count(*) FROM image_layers WHERE diff_id = ?1")
        .and_then(|mut s| s.query_row([diff_id.to_string()], |row| column::unsigned(row, 0)))
        .map_err(Error::at("count users of layer"))
}

/// Notes when an image was tagged.
pub fn set_tagged(tx: &Tx<'_>, id: ImageId, time: i64) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("UPDATE images SET tagged_at = ?2 WHERE id = ?1")
        .and_then(|mut s| s.execute(params![id.to_string(), time]))
        .map_err(Error::at("note time of tag"))?;
    Ok(())
}

/// Notes that an image is used now.
pub fn note_use(tx: &Tx<'_>, id: ImageId) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("UPDATE images SET used_at = ?2 WHERE id = ?1")
        .and_then(|mut s| s.execute(params![id.to_string(), crate::now()]))
        .map_err(Error::at("note use of image"))?;
    Ok(())
}

/// When a container of the image was last removed, if ever.
pub fn used_at(view: &View<'_>, id: ImageId) -> Result<Option<i64>, Error> {
    view.connection()
        .prepare_cached("SELECT used_at FROM images WHERE id = ?1")
        .and_then(|mut s| s.query_row([id.to_string()], |row| row.get(0)).optional())
        .map(Option::flatten)
        .map_err(Error::at("read use of image"))
}

/// Notes what an image was built from.
pub fn set_parent(tx: &Tx<'_>, id: ImageId, parent: Option<ImageId>) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("UPDATE images SET parent = ?2 WHERE id = ?1")
        .and_then(|mut s| {
            s.execute(params![
                id.to_string(),
                parent.map(|parent| parent.to_string())
            ])
        })
        .map_err(Error::at("note parent of image"))?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ImageRow> {
    Ok(ImageRow {
        id: ImageId(column::digest(row, 0)?),
        config: row.get(1)?,
        manifest: column::optional_digest(row, 2)?,
        parent: column::optional_digest(row, 3)?.map(ImageId),
        top: column::optional_digest(row, 4)?.map(ChainId),
        size: column::unsigned(row, 5)?,
        created_at: row.get(6)?,
        tagged_at: row.get(7)?,
    })
}
