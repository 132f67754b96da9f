//! Table `blobs`: the files of the content store that count. A file without a
//! row here is garbage.

use gantry_types::Digest;
use rusqlite::{OptionalExtension, params};

use crate::{Error, Tx, View, column};

/// One file of the content store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// What its bytes hash to.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub created_at: i64,
}

/// Records a blob whose bytes are on the disk already; nothing changes when it
/// is recorded.
pub fn insert(tx: &Tx<'_>, digest: Digest, size: u64) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO blobs (digest, size, created_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute(params![
                digest.to_string(),
                column::signed(size),
                crate::now()
            ])
        })
        .map_err(Error::at("record blob"))?;
    Ok(())
}

/// The record of a blob.
pub fn get(view: &View<'_>, digest: Digest) -> Result<Option<BlobRow>, Error> {
    view.connection()
        .prepare_cached("SELECT digest, size, created_at FROM blobs WHERE digest = ?1")
        .and_then(|mut s| s.query_row([digest.to_string()], from_row).optional())
        .map_err(Error::at("read blob"))
}

/// All records.
pub fn list(view: &View<'_>) -> Result<Vec<BlobRow>, Error> {
    view.connection()
        .prepare_cached("SELECT digest, size, created_at FROM blobs ORDER BY digest")
        .and_then(|mut s| s.query_map([], from_row)?.collect())
        .map_err(Error::at("list blobs"))
}

/// Deletes the record of a blob that is damaged, with what it says of layers, and lets
/// go of it as a manifest. Nothing happens while a lease holds it: whether it is gone.
pub fn forget(tx: &Tx<'_>, digest: Digest) -> Result<bool, Error> {
    let key = digest.to_string();
    if crate::leases::is_held(tx, crate::leases::Kind::Blob, &key)? {
        return Ok(false);
    }
    // An image that lost one of its layers' blobs is no longer what its manifest says.
    tx.connection()
        .execute(
            "UPDATE images SET manifest = NULL WHERE manifest = ?1 OR id IN \
             (SELECT image FROM image_layers JOIN layers USING (diff_id) WHERE blob = ?1)",
            [&key],
        )
        .and_then(|_| {
            tx.connection()
                .execute("DELETE FROM blobs WHERE digest = ?1", [&key])
        })
        .map(|_| true)
        .map_err(Error::at("forget blob"))
}

/// Deletes the records of all blobs that no image needs (as its manifest or as
/// one of its layers, or to leave in its form), no repository of a registry has and no lease holds, and answers them. Their files are
/// garbage from the commit of this transaction on. So it does with those of layers that
/// were made here; a lease that holds the blob which they might be holds them.
pub fn delete_unreferenced(tx: &Tx<'_>) -> Result<Vec<BlobRow>, Error> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM made_layers WHERE \
             NOT EXISTS (SELECT 1 FROM image_layers WHERE image_layers.diff_id = made_layers.diff_id) \
             AND NOT EXISTS (SELECT 1 FROM lease_items \
                             WHERE kind = 'blob' AND key = made_layers.diff_id)",
        )
        .and_then(|mut s| s.execute([]))
        .map_err(Error::at("delete unreferenced layers"))?;
    tx.connection()
        .prepare_cached(
            "DELETE FROM blobs WHERE \
             NOT EXISTS (SELECT 1 FROM images WHERE images.manifest = blobs.digest) \
             AND NOT EXISTS (SELECT 1 FROM layers JOIN image_layers USING (diff_id) \
                             WHERE layers.blob = blobs.digest) \
             AND NOT EXISTS (SELECT 1 FROM image_forms WHERE image_forms.digest = blobs.digest) \
             AND NOT EXISTS (SELECT 1 FROM registry_blobs \
                             WHERE registry_blobs.digest = blobs.digest) \
             AND NOT EXISTS (SELECT 1 FROM lease_items \
                             WHERE kind = 'blob' AND key = blobs.digest) \
             RETURNING digest, size, created_at",
        )
        .and_then(|mut s| s.query_map([], from_row)?.collect())
        .map_err(Error::at("delete unreferenced blobs"))
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<BlobRow> {
    Ok(BlobRow {
        digest: column::digest(row, 0)?,
        size: column::unsigned(row, 1)?,
        created_at: row.get(2)?,
    })
}
