//! Table `registry_tags`: which tag of a repository stands for which manifest.

use gantry_types::Digest;
use rusqlite::{OptionalExtension, params};

use crate::{Error, Tx, View, column};

/// What a tag stands for, and since when that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagRow {
    /// The manifest.
    pub digest: Digest,
    /// Nanoseconds since 1970.
    pub updated_at: i64,
}

/// Lets a tag stand for a manifest, which the repository has.
pub fn set(tx: &Tx<'_>, repository: i64, tag: &str, digest: Digest) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO registry_tags (repository, tag, digest, updated_at) \
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET digest = ?3, updated_at = ?4",
        )
        .and_then(|mut s| s.execute(params![repository, tag, digest.to_string(), crate::now()]))
        .map_err(Error::at("record tag"))?;
    Ok(())
}

/// What a tag stands for.
pub fn get(view: &View<'_>, repository: &str, tag: &str) -> Result<Option<TagRow>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT digest, updated_at FROM registry_tags WHERE tag = ?2 \
             AND repository = (SELECT id FROM registry_repositories WHERE name = ?1)",
        )
        .and_then(|mut s| {
            s.query_row([repository, tag], |row| {
                Ok(TagRow {
                    digest: column::digest(row, 0)?,
                    updated_at: row.get(1)?,
                })
            })
            .optional()
        })
        .map_err(Error::at("read tag"))
}

/// At most `limit` tags behind `last`, in the order of their bytes.
pub fn list(
    view: &View<'_>,
    repository: i64,
    last: &str,
    limit: u64,
) -> Result<Vec<String>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT tag FROM registry_tags WHERE repository = ?1 AND tag > ?2 \
             ORDER BY tag LIMIT ?3",
        )
        .and_then(|mut s| {
            s.query_map(params![repository, last, column::signed(limit)], |row| {
                row.get(0)
            })?
            .collect()
        })
        .map_err(Error::at("list tags"))
}

/// Deletes a tag; whether there was one.
pub fn delete(tx: &Tx<'_>, repository: &str, tag: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM registry_tags WHERE tag = ?2 \
             AND repository = (SELECT id FROM registry_repositories WHERE name = ?1)",
        )
        .and_then(|mut s| s.execute([repository, tag]))
        .map(|count| count != 0)
        .map_err(Error::at("delete tag"))
}
