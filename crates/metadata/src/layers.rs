//! Table `layers`: which blobs hold a layer, and in what packing. One layer may
//! be held by several blobs (as gzip from one registry, as zstd from another).
//!
//! Table `made_layers`: those that were made here. Their files are all that there is of
//! them until they leave; a row may outlive the snapshot that it speaks of.

use gantry_types::{ChainId, DiffId, Digest};
use rusqlite::{OptionalExtension, params};

use crate::{Error, Tx, View, column};

/// A blob that holds a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRow {
    /// The layer.
    pub diff_id: DiffId,
    /// The blob that unpacks to it.
    pub blob: Digest,
    /// How it is packed.
    pub media_type: String,
    /// Sum of the sizes of the regular files in the layer.
    pub size: u64,
    /// The blob's length.
    pub blob_size: u64,
}

/// A layer whose archive can be made of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeRow {
    /// The layer.
    pub diff_id: DiffId,
    /// The snapshot that has its files.
    pub chain: ChainId,
    /// Sum of the sizes of the regular files in the layer.
    pub size: u64,
    /// The archive's length.
    pub archive: u64,
}

/// Records a layer that was made here; nothing changes when that is known.
pub fn insert_made(tx: &Tx<'_>, row: &MadeRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO made_layers (diff_id, chain_id, size, archive) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute(params![
                row.diff_id.to_string(),
                row.chain.to_string(),
                column::signed(row.size),
                column::signed(row.archive)
            ])
        })
        .map_err(Error::at("record layer"))?;
    Ok(())
}

/// Where the files of a layer are that was made here.
pub fn made(view: &View<'_>, diff_id: DiffId) -> Result<Vec<MadeRow>, Error> {
    view.connection()
        .prepare_cached("SELECT chain_id, size, archive FROM made_layers WHERE diff_id = ?1")
        .and_then(|mut s| {
            s.query_map([diff_id.to_string()], |row| {
                Ok(MadeRow {
                    diff_id,
                    chain: ChainId(column::digest(row, 0)?),
                    size: column::unsigned(row, 1)?,
                    archive: column::unsigned(row, 2)?,
                })
            })?
            .collect()
        })
        .map_err(Error::at("list layers"))
}

/// The sum of the sizes of the regular files in a layer that is known.
pub fn size(view: &View<'_>, diff_id: DiffId) -> Result<Option<u64>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT size FROM layers WHERE diff_id = ?1 \
             UNION ALL SELECT size FROM made_layers WHERE diff_id = ?1 LIMIT 1",
        )
        .and_then(|mut s| {
            let size = |row: &rusqlite::Row<'_>| column::unsigned(row, 0);
            s.query_row([diff_id.to_string()], size).optional()
        })
        .map_err(Error::at("look up layer"))
}

/// Records that a blob (recorded already) holds a layer; nothing changes when
/// that is known. `blob_size` is not kept here.
pub fn insert(tx: &Tx<'_>, row: &LayerRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO layers (diff_id, blob, media_type, size) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute(params![
                row.diff_id.to_string(),
                row.blob.to_string(),
                row.media_type,
                column::signed(row.size)
            ])
        })
        .map_err(Error::at("record layer"))?;
    Ok(())
}

/// The blobs that hold a layer.
pub fn by_diff_id(view: &View<'_>, diff_id: DiffId) -> Result<Vec<LayerRow>, Error> {
    many(view, "diff_id", &diff_id.to_string())
}

/// The layers that a blob holds (one, unless the same tar was recorded under
/// several media types).
pub fn by_blob(view: &View<'_>, blob: Digest) -> Result<Vec<LayerRow>, Error> {
    many(view, "blob", &blob.to_string())
}

fn many(view: &View<'_>, name: &str, value: &str) -> Result<Vec<LayerRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT diff_id, blob, media_type, layers.size, blobs.size \
             FROM layers JOIN blobs ON blobs.digest = layers.blob \
             WHERE {name} = ?1 ORDER BY created_at, blob"
        ))
        .and_then(|mut s| {
            s.query_map([value], |row| {
                Ok(LayerRow {
                    diff_id: DiffId(column::digest(row, 0)?),
                    blob: column::digest(row, 1)?,
                    media_type: row.get(2)?,
                    size: column::unsigned(row, 3)?,
                    blob_size: column::unsigned(row, 4)?,
                })
            })?
            .collect()
        })
        .map_err(Error::at("list layers"))
}
