//! Table `registry_blobs`: which repository has which blob, and when it was
//! last pushed, mounted or looked for.

use gantry_types::Digest;
use rusqlite::{OptionalExtension, params};

use crate::{Error, Tx, View, column};

/// A blob of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRow {
    /// Its length.
    pub size: u64,
    /// Nanoseconds since 1970: collection leaves what is younger than its patience.
    pub used_at: i64,
    /// Whether a manifest of the repository needs it.
    pub needed: bool,
}

/// Gives the repository a blob, which is recorded in `blobs`; one that it has
/// is as good as new.
pub fn link(tx: &Tx<'_>, repository: i64, digest: Digest) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO registry_blobs (repository, digest, used_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET used_at = ?3",
        )
        .and_then(|mut s| s.execute(params![repository, digest.to_string(), crate::now()]))
        .map_err(Error::at("link blob"))?;
    Ok(())
}

/// The blob, if the repository has it.
pub fn get(view: &View<'_>, repository: &str, digest: Digest) -> Result<Option<LinkRow>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT size, used_at, EXISTS (SELECT 1 FROM registry_needs AS n \
               WHERE n.repository = l.repository AND n.needed = l.digest) \
             FROM registry_blobs AS l JOIN blobs USING (digest) \
             WHERE repository = (SELECT id FROM registry_repositories WHERE name = ?1) \
             AND l.digest = ?2",
        )
        .and_then(|mut s| {
            s.query_row([repository, &digest.to_string()], |row| {
                Ok(LinkRow {
                    size: column::unsigned(row, 0)?,
                    used_at: row.get(1)?,
                    needed: row.get(2)?,
                })
            })
            .optional()
        })
        .map_err(Error::at("read blob of repository"))
}

/// The names of repositories that have the blob, at most `limit`.
pub fn repositories(view: &View<'_>, digest: Digest, limit: u64) -> Result<Vec<String>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT name FROM registry_blobs JOIN registry_repositories ON id = repository \
             WHERE digest = ?1 LIMIT ?2",
        )
        .and_then(|mut s| {
            s.query_map(params![digest.to_string(), column::signed(limit)], |row| {
                row.get(0)
            })?
            .collect()
        })
        .map_err(Error::at("find repositories of blob"))
}

/// Takes the blob from the repository; whether it had it.
pub fn unlink(tx: &Tx<'_>, repository: &str, digest: Digest) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM registry_blobs WHERE digest = ?2 \
             AND repository = (SELECT id FROM registry_repositories WHERE name = ?1)",
        )
        .and_then(|mut s| s.execute([repository, &digest.to_string()]))
        .map(|count| count != 0)
        .map_err(Error::at("unlink blob"))
}

/// Takes from all repositories the blobs that none of their manifests needs and
/// that nobody has used since `before`; how many.
pub fn unlink_unneeded(tx: &Tx<'_>, before: i64) -> Result<usize, Error> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM registry_blobs WHERE used_at < ?1 AND NOT EXISTS \
             (SELECT 1 FROM registry_needs AS n WHERE n.repository = registry_blobs.repository \
              AND n.needed = registry_blobs.digest)",
        )
        .and_then(|mut s| s.execute([before]))
        .map_err(Error::at("unlink blobs"))
}
