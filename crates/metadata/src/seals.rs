//! Table `seals`: which key's signature let an image in under the name of a
//! repository. Whether that key is trusted still is not known here.

use gantry_types::{Digest, ImageId};
use rusqlite::params;

use crate::{Error, Tx, View, column};

/// One verified signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealRow {
    /// The full name of the repository.
    pub repository: String,
    /// The name of the key.
    pub key: String,
    /// What was signed: the image's manifest, or the index that names it.
    pub digest: Digest,
}

/// Records that an image (which exists) is sealed; an older seal of the same
/// repository gives way.
pub fn set(tx: &Tx<'_>, image: ImageId, seal: &SealRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO seals (image, repository, key, digest, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (image, repository) \
             DO UPDATE SET key = ?3, digest = ?4, created_at = ?5",
        )
        .and_then(|mut s| {
            s.execute(params![
                image.to_string(),
                seal.repository,
                seal.key,
                seal.digest.to_string(),
                crate::now()
            ])
        })
        .map_err(Error::at("record seal"))?;
    Ok(())
}

/// The seals of an image.
pub fn of_image(view: &View<'_>, image: ImageId) -> Result<Vec<SealRow>, Error> {
    view.connection()
        .prepare_cached("SELECT repository, key, digest FROM seals WHERE image = ?1")
        .and_then(|mut s| {
            let rows = s.query_map([image.to_string()], |row| {
                Ok(SealRow {
                    repository: row.get(0)?,
                    key: row.get(1)?,
                    digest: column::digest(row, 2)?,
                })
            })?;
            rows.collect()
        })
        .map_err(Error::at("list seals"))
}
