//! Tables `registry_manifests` and `registry_needs`: manifests as they came, and
//! what each of them consists of.

use gantry_types::Digest;
use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View, column};

/// A manifest as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// What its bytes hash to.
    pub digest: Digest,
    /// What its sender said it is.
    pub media_type: String,
    /// When it was pushed, or noted that it was pulled.
    pub used_at: i64,
    /// The document.
    pub bytes: Vec<u8>,
}

/// A manifest to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewManifest<'a> {
    /// What its bytes hash to.
    pub digest: Digest,
    /// What its sender says it is.
    pub media_type: &'a str,
    /// The document.
    pub bytes: &'a [u8],
    /// What kind of artifact it is: what lists of referrers say.
    pub artifact_type: Option<&'a str>,
    /// The manifest that it says something about.
    pub subject: Option<Digest>,
    /// Its annotations, a JSON object.
    pub annotations: Option<&'a str>,
    /// The blobs and manifests that it consists of.
    pub needs: &'a [Digest],
}

/// A manifest that says something about another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerRow {
    /// What its bytes hash to.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// Its length.
    pub size: u64,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Its annotations, a JSON object.
    pub annotations: Option<String>,
}

/// Keeps a manifest; one that is there already is as good as new.
pub fn insert(tx: &Tx<'_>, repository: i64, new: &NewManifest<'_>) -> Result<(), Error> {
    let digest = new.digest.to_string();
    tx.connection()
        .prepare_cached(
            "INSERT INTO registry_manifests (repository, digest, media_type, artifact_type, \
             subject, annotations, bytes, used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT DO UPDATE SET media_type = ?3, used_at = ?8",
        )
        .and_then(|mut s| {
            s.execute(params![
                repository,
                digest,
                new.media_type,
                new.artifact_type,
                new.subject.map(|subject| subject.to_string()),
                new.annotations,
                new.bytes,
                crate::now()
            ])
        })
        .map_err(Error::at("record manifest"))?;
    let mut need = tx
        .connection()
        .prepare_cached(
            "INSERT INTO registry_needs (repository, manifest, needed) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO NOTHING",
        )
        .map_err(Error::at("record needs"))?;
    for needed in new.needs {
        need.execute(params![repository, digest, needed.to_string()])
            .map_err(Error::at("record needs"))?;
    }
    Ok(())
}

/// The manifest with this digest.
pub fn get(
    view: &View<'_>,
    repository: &str,
    digest: Digest,
) -> Result<Option<ManifestRow>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT digest, media_type, used_at, bytes FROM registry_manifests \
             WHERE repository = (SELECT id FROM registry_repositories WHERE name = ?1) \
             AND digest = ?2",
        )
        .and_then(|mut s| {
            s.query_row([repository, &digest.to_string()], from_row)
                .optional()
        })
        .map_err(Error::at("read manifest"))
}

/// The manifest that a tag stands for.
pub fn by_tag(view: &View<'_>, repository: &str, tag: &str) -> Result<Option<ManifestRow>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT m.digest, media_type, used_at, bytes FROM registry_tags AS t \
             JOIN registry_manifests AS m USING (repository, digest) \
             WHERE t.repository = (SELECT id FROM registry_repositories WHERE name = ?1) \
             AND t.tag = ?2",
        )
        .and_then(|mut s| s.query_row([repository, tag], from_row).optional())
        .map_err(Error::at("read manifest of tag"))
}

/// Whether the repository has this manifest.
pub fn exists(view: &View<'_>, repository: i64, digest: Digest) -> Result<bool, Error> {
    view.connection()
        .prepare_cached("SELECT 1 FROM registry_manifests WHERE repository = ?1 AND digest = ?2")
        .and_then(|mut s| s.exists(params![repository, digest.to_string()]))
        .map_err(Error::at("look for manifest"))
}

/// The manifests of a repository that say something about `subject`, in the
/// order of their digests.
pub fn referrers(
    view: &View<'_>,
    repository: &str,
    subject: Digest,
) -> Result<Vec<ReferrerRow>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT digest, media_type, length(bytes), artifact_type, annotations \
             FROM registry_manifests \
             WHERE repository = (SELECT id FROM registry_repositories WHERE name = ?1) \
             AND subject = ?2 ORDER BY digest",
        )
        .and_then(|mut s| {
            s.query_map([repository, &subject.to_string()], |row| {
                Ok(ReferrerRow {
                    digest: column::digest(row, 0)?,
                    media_type: row.get(1)?,
                    size: column::unsigned(row, 2)?,
                    artifact_type: row.get(3)?,
                    annotations: row.get(4)?,
                })
            })?
            .collect()
        })
        .map_err(Error::at("list referrers"))
}

/// Deletes a manifest with its tags; whether there was one.
pub fn delete(tx: &Tx<'_>, repository: &str, digest: Digest) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM registry_manifests WHERE digest = ?2 \
             AND repository = (SELECT id FROM registry_repositories WHERE name = ?1)",
        )
        .and_then(|mut s| s.execute([repository, &digest.to_string()]))
        .map(|count| count != 0)
        .map_err(Error::at("delete manifest"))
}

/// Deletes the manifests without a tag that no other manifest consists of, that
/// say nothing about one that is there, and that nobody has pushed since `before`;
/// how many. What only they needed may be deleted by the next call.
pub fn delete_untagged(tx: &Tx<'_>, before: i64) -> Result<usize, Error> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM registry_manifests AS m WHERE used_at < ?1 \
             AND NOT EXISTS (SELECT 1 FROM registry_tags AS t \
               WHERE t.repository = m.repository AND t.digest = m.digest) \
             AND NOT EXISTS (SELECT 1 FROM registry_needs AS n \
               WHERE n.repository = m.repository AND n.needed = m.digest) \
             AND NOT EXISTS (SELECT 1 FROM registry_manifests AS s \
               WHERE s.repository = m.repository AND s.digest = m.subject)",
        )
        .and_then(|mut s| s.execute([before]))
        .map_err(Error::at("delete untagged manifests"))
}

/// Notes that a manifest was pulled, unless that was noted since `since`.
pub fn touch(tx: &Tx<'_>, repository: &str, digest: Digest, since: i64) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "UPDATE registry_manifests SET used_at = ?3 WHERE digest = ?2 AND used_at < ?4 \
             AND repository = (SELECT id FROM registry_repositories WHERE name = ?1)",
        )
        .and_then(|mut s| s.execute(params![repository, digest.to_string(), crate::now(), since]))
        .map_err(Error::at("touch manifest"))?;
    Ok(())
}

/// Deletes the manifests, with their tags, that nobody has pushed or pulled since
/// `before`; how many.
pub fn delete_unused(tx: &Tx<'_>, before: i64) -> Result<usize, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM registry_manifests WHERE used_at < ?1")
        .and_then(|mut s| s.execute([before]))
        .map_err(Error::at("delete unused manifests"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ManifestRow> {
    Ok(ManifestRow {
        digest: column::digest(row, 0)?,
        media_type: row.get(1)?,
        used_at: row.get(2)?,
        bytes: row.get(3)?,
    })
}
