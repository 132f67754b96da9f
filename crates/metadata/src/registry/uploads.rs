//! Table `registry_uploads`: blobs that are being sent, whose bytes are in a file
//! named after the upload.

use rusqlite::{OptionalExtension, params};

use crate::{Error, Tx, View};

/// Records an upload into the repository `repository`.
pub fn insert(tx: &Tx<'_>, id: &str, repository: &str) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO registry_uploads (id, repository, created_at) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut s| s.execute(params![id, repository, crate::now()]))
        .map_err(Error::inserting("registry_uploads", id))?;
    Ok(())
}

/// Whether an upload of that repository has this id.
pub fn exists(view: &View<'_>, id: &str, repository: &str) -> Result<bool, Error> {
    view.connection()
        .prepare_cached("SELECT 1 FROM registry_uploads WHERE id = ?1 AND repository = ?2")
        .and_then(|mut s| s.query_row([id, repository], |_| Ok(())).optional())
        .map(|found| found.is_some())
        .map_err(Error::at("read upload"))
}

/// How many uploads have begun and not ended.
pub fn count(view: &View<'_>) -> Result<u64, Error> {
    view.connection()
        .query_row("SELECT count(*) FROM registry_uploads", [], |row| {
            crate::column::unsigned(row, 0)
        })
        .map_err(Error::at("count uploads"))
}

/// Deletes the record of an upload; whether there was one.
pub fn delete(tx: &Tx<'_>, id: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM registry_uploads WHERE id = ?1")
        .and_then(|mut s| s.execute([id]))
        .map(|count| count != 0)
        .map_err(Error::at("delete upload"))
}

/// The ids of all uploads, and when each began.
pub fn list(view: &View<'_>) -> Result<Vec<(String, i64)>, Error> {
    view.connection()
        .prepare_cached("SELECT id, created_at FROM registry_uploads")
        .and_then(|mut s| {
            s.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .map_err(Error::at("list uploads"))
}
