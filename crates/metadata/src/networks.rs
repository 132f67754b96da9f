//! Table `networks`: one row for each network; `record` is the network
//! crate's JSON.

use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View};

const COLUMNS: &str = "id, name, driver, created_at, record";

/// One network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRow {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique among networks.
    pub name: String,
    /// Such as `bridge`.
    pub driver: String,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// JSON: what it was made with.
    pub record: String,
}

/// Adds a network. Fails with [`Error::Exists`] when the id or name is taken.
pub fn insert(tx: &Tx<'_>, row: &NetworkRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO networks (id, name, driver, created_at, record) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut s| {
            s.execute(params![
                row.id,
                row.name,
                row.driver,
                row.created_at,
                row.record
            ])
        })
        .map_err(Error::inserting("networks", &row.name))?;
    Ok(())
}

/// Replaces the record; whether the network exists.
pub fn set_record(tx: &Tx<'_>, id: &str, record: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("UPDATE networks SET record = ?2 WHERE id = ?1")
        .and_then(|mut s| s.execute([id, record]))
        .map(|n| n != 0)
        .map_err(Error::at("update network"))
}

/// Deletes a network that has no endpoints; whether there was one.
pub fn delete(tx: &Tx<'_>, id: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM networks WHERE id = ?1")
        .and_then(|mut s| s.execute([id]))
        .map(|n| n != 0)
        .map_err(Error::at("delete network"))
}

/// The network of that full id.
pub fn get(view: &View<'_>, id: &str) -> Result<Option<NetworkRow>, Error> {
    one(view, "id = ?1", id)
}

/// The network of that name.
pub fn by_name(view: &View<'_>, name: &str) -> Result<Option<NetworkRow>, Error> {
    one(view, "name = ?1", name)
}

/// All networks, oldest first.
pub fn list(view: &View<'_>) -> Result<Vec<NetworkRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM networks ORDER BY created_at, id"
        ))
        .and_then(|mut s| s.query_map([], from_row)?.collect())
        .map_err(Error::at("list networks"))
}

fn one(view: &View<'_>, condition: &str, value: &str) -> Result<Option<NetworkRow>, Error> {
    view.connection()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM networks WHERE {condition}"))
        .and_then(|mut s| s.query_row([value], from_row).optional())
        .map_err(Error::at("read network"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<NetworkRow> {
    Ok(NetworkRow {
        id: row.get(0)?,
        name: row.get(1)?,
        driver: row.get(2)?,
        created_at: row.get(3)?,
        record: row.get(4)?,
    })
}
