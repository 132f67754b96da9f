//! Table `volumes`: one row for each volume; `record` is the volume crate's JSON.

use rusqlite::{Row, params};

use crate::{Error, Tx, View};

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRow {
    /// Unique.
    pub name: String,
    /// Such as `local`.
    pub driver: String,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// JSON: what it was made with.
    pub record: String,
}

/// Adds a volume; one that is there stays as it is.
pub fn insert(tx: &Tx<'_>, row: &VolumeRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO volumes (name, driver, created_at, record) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (name) DO NOTHING",
        )
        .and_then(|mut s| s.execute(params![row.name, row.driver, row.created_at, row.record]))
        .map_err(Error::inserting("volumes", &row.name))?;
    Ok(())
}

/// Deletes a volume; whether there was one.
pub fn delete(tx: &Tx<'_>, name: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM volumes WHERE name = ?1")
        .and_then(|mut s| s.execute([name]))
        .map(|n| n != 0)
        .map_err(Error::at("delete volume"))
}

/// All volumes, by name.
pub fn list(view: &View<'_>) -> Result<Vec<VolumeRow>, Error> {
    view.connection()
        .prepare_cached("SELECT name, driver, created_at, record FROM volumes ORDER BY name")
        .and_then(|mut s| s.query_map([], from_row)?.collect())
        .map_err(Error::at("list volumes"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<VolumeRow> {
    Ok(VolumeRow {
        name: row.get(0)?,
        driver: row.get(1)?,
        created_at: row.get(2)?,
        record: row.get(3)?,
    })
}
