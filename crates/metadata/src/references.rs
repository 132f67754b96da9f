//! Table `refs`: which name stands for which image.

use gantry_types::{ImageId, Reference};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View, column};

/// One name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceRow {
    /// A tag or a digest of a repository, normalised.
    pub name: Reference,
    /// The image it stands for.
    pub image: ImageId,
}

/// Lets `name` stand for `image` (which exists) and answers what it stood for before.
pub fn set(tx: &Tx<'_>, name: &Reference, image: ImageId) -> Result<Option<ImageId>, Error> {
    let before = get(tx, name)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO refs (name, repository, image, updated_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (name) DO UPDATE SET image = ?3, updated_at = ?4",
        )
        .and_then(|mut s| {
            s.execute(params![
                name.to_string(),
                name.name(),
                image.to_string(),
                crate::now()
            ])
        })
        .map_err(Error::at("record reference"))?;
    Ok(before)
}

/// Deletes a name; whether there was one.
pub fn delete(tx: &Tx<'_>, name: &Reference) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM refs WHERE name = ?1")
        .and_then(|mut s| s.execute([name.to_string()]))
        .map(|n| n != 0)
        .map_err(Error::at("delete reference"))
}

/// What a name stands for.
pub fn get(view: &View<'_>, name: &Reference) -> Result<Option<ImageId>, Error> {
    view.connection()
        .prepare_cached("SELECT image FROM refs WHERE name = ?1")
        .and_then(|mut s| {
            s.query_row([name.to_string()], |row| {
                column::digest(row, 0).map(ImageId)
            })
            .optional()
        })
        .map_err(Error::at("read reference"))
}

/// The names of one image.
pub fn by_image(view: &View<'_>, image: ImageId) -> Result<Vec<Reference>, Error> {
    view.connection()
        .prepare_cached("SELECT name, image FROM refs WHERE image = ?1 ORDER BY name")
        .and_then(|mut s| {
            s.query_map([image.to_string()], |row| Ok(from_row(row)?.name))?
                .collect()
        })
        .map_err(Error::at("list references of image"))
}

/// The names of one image, the one that was recorded last first.
pub fn newest_by_image(view: &View<'_>, image: ImageId) -> Result<Vec<Reference>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT name, image FROM refs WHERE image = ?1 ORDER BY updated_at DESC, name",
        )
        .and_then(|mut s| {
            s.query_map([image.to_string()], |row| Ok(from_row(row)?.name))?
                .collect()
        })
        .map_err(Error::at("list references of image"))
}

/// The names of one repository (normalised, without tag and digest).
pub fn by_repository(view: &View<'_>, repository: &str) -> Result<Vec<ReferenceRow>, Error> {
    view.connection()
        .prepare_cached("SELECT name, image FROM refs WHERE repository = ?1 ORDER BY name")
        .and_then(|mut s| s.query_map([repository], from_row)?.collect())
        .map_err(Error::at("list references of repository"))
}

/// All names.
pub fn list(view: &View<'_>) -> Result<Vec<ReferenceRow>, Error> {
    view.connection()
        .prepare_cached("SELECT name, image FROM refs ORDER BY name")
        .and_then(|mut s| s.query_map([], from_row)?.collect())
        .map_err(Error::at("list references"))
}

/// The names that stand for images which are not there: none, unless the database was
/// damaged.
pub fn dangling(view: &View<'_>) -> Result<Vec<String>, Error> {
    view.connection()
        .prepare_cached("SELECT name FROM refs WHERE image NOT IN (SELECT id FROM images)")
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .map_err(Error::at("list references"))
}

/// Deletes those.
pub fn delete_dangling(tx: &Tx<'_>) -> Result<(), Error> {
    tx.connection()
        .execute(
            "DELETE FROM refs WHERE image NOT IN (SELECT id FROM images)",
            [],
        )
        .map(drop)
        .map_err(Error::at("delete references"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ReferenceRow> {
    let name: String = row.get(0)?;
    Ok(ReferenceRow {
        name: name.parse().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
        })?,
        image: ImageId(column::digest(row, 1)?),
    })
}
