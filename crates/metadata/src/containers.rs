//! Table `containers`: one row for each container. `record` is what it was
//! made with, `state` what has become of it; both are the engine's JSON.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View};

const TABLE: &str = "containers";
const COLUMNS: &str = "id, name, image_id, created_at, record, state";

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRow {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique among containers.
    pub name: String,
    /// The id of the image it was made from, such as `sha256:…`.
    pub image_id: Option<String>,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// JSON: what it was made with.
    pub record: String,
    /// JSON: what has become of it.
    pub state: String,
}

/// Adds a container. Fails with [`Error::Exists`] when the id or the name is taken
/// (find out whose it is with [`by_name`] in the same transaction).
pub fn insert(tx: &Tx<'_>, row: &ContainerRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO containers (id, name, image_id, created_at, record, state) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut s| {
            s.execute(params![
                row.id,
                row.name,
                row.image_id,
                row.created_at,
                row.record,
                row.state
            ])
        })
        .map_err(Error::inserting(TABLE, &row.name))?;
    Ok(())
}

/// Replaces the state; whether the container exists.
pub fn set_state(tx: &Tx<'_>, id: &str, state: &str) -> Result<bool, Error> {
    update(
        tx,
        "UPDATE containers SET state = ?2 WHERE id = ?1",
        id,
        state,
    )
}

/// Replaces the record; whether the container exists.
pub fn set_record(tx: &Tx<'_>, id: &str, record: &str) -> Result<bool, Error> {
    update(
        tx,
        "UPDATE containers SET record = ?2 WHERE id = ?1",
        id,
        record,
    )
}

/// Gives the container another name; whether it exists. Fails with
/// [`Error::Exists`] when the name is taken.
pub fn rename(tx: &Tx<'_>, id: &str, name: &str) -> Result<bool, Error> {
    update(
        tx,
        "UPDATE containers SET name = ?2 WHERE id = ?1",
        id,
        name,
    )
}

/// Deletes the container's row; whether there was one. Its image was used until now.
pub fn delete(tx: &Tx<'_>, id: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached(
            "UPDATE images SET used_at = ?2 \
             WHERE id = (SELECT image_id FROM containers WHERE id = ?1)",
        )
        .and_then(|mut s| s.execute(params![id, crate::now()]))
        .map_err(Error::at("note use of image"))?;
    tx.connection()
        .prepare_cached("DELETE FROM containers WHERE id = ?1")
        .and_then(|mut s| s.execute([id]))
        .map(|n| n != 0)
        .map_err(Error::at("delete container"))
}

/// The container of that full id.
pub fn get(view: &View<'_>, id: &str) -> Result<Option<ContainerRow>, Error> {
    one(view, "id = ?1", id)
}

/// The container of that name.
pub fn by_name(view: &View<'_>, name: &str) -> Result<Option<ContainerRow>, Error> {
    one(view, "name = ?1", name)
}

/// Up to two containers whose id starts with `prefix` (hexadecimal digits):
/// two mean that it is ambiguous.
pub fn by_prefix(view: &View<'_>, prefix: &str) -> Result<Vec<ContainerRow>, Error> {
    many(
        view,
        "WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id LIMIT 2",
        [prefix],
    )
}

/// The containers made from an image.
pub fn by_image(view: &View<'_>, image_id: &str) -> Result<Vec<ContainerRow>, Error> {
    many(
        view,
        "WHERE image_id = ?1 ORDER BY created_at DESC",
        [image_id],
    )
}

/// All containers, newest first.
pub fn list(view: &View<'_>) -> Result<Vec<ContainerRow>, Error> {
    many(view, "ORDER BY created_at DESC, id", [])
}

fn update(tx: &Tx<'_>, sql: &str, id: &str, value: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached(sql)
        .and_then(|mut s| s.execute([id, value]))
        .map(|n| n != 0)
        .map_err(Error::inserting(TABLE, value))
}

fn one(view: &View<'_>, condition: &str, value: &str) -> Result<Option<ContainerRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM containers WHERE {condition}"
        ))
        .and_then(|mut s| s.query_row([value], from_row).optional())
        .map_err(Error::at("read container"))
}

fn many(
    view: &View<'_>,
    rest: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<ContainerRow>, Error> {
    view.connection()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM containers {rest}"))
        .and_then(|mut s| s.query_map(values, from_row)?.collect())
        .map_err(Error::at("list containers"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ContainerRow> {
    Ok(ContainerRow {
        id: row.get(0)?,
        name: row.get(1)?,
        image_id: row.get(2)?,
        created_at: row.get(3)?,
        record: text(row, 4)?,
        state: text(row, 5)?,
    })
}

/// A column as text, whatever it has become: one spoilt row must not keep all
/// others from being read.
fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into(),
        _ => String::new(),
    })
}
