//! Tables `build_results` and `build_keys`: what steps of builds have made, and by
//! which keys it is found again. Each result is the purpose of a lease of the same
//! id, which holds its layers and blobs; that lease outlives the daemon.

use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View};

const COLUMNS: &str = "id, kind, place, description, inputs, parent, layers, size, created_at, \
                       used_at, uses, boot";

/// What a step has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Its name, which is that of its lease.
    pub id: String,
    /// What kind of step: as `docker builder du` calls it.
    pub kind: String,
    /// Which step of which Dockerfile, for those who ask why it was not found.
    pub place: String,
    /// The step, for people.
    pub description: String,
    /// What the step depended on, as JSON.
    pub inputs: String,
    /// The result it stands on.
    pub parent: Option<String>,
    /// The diffIDs of all its layers, bottom first, with spaces between.
    pub layers: String,
    /// Sum of the sizes of the files of its topmost layer.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// When it was last used.
    pub used_at: i64,
    /// How often.
    pub uses: u64,
    /// When it was made, as a life of the daemon and an epoch of its disk, until its bytes
    /// are known to be on that; empty from then on.
    pub boot: String,
}

/// Adds a result, which the lease of the same id holds already, found by `keys`. A
/// key that stood for another result stands for this one.
pub fn insert(tx: &Tx<'_>, row: &ResultRow, keys: &[String]) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(&format!(
            "INSERT INTO build_results ({COLUMNS}) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        ))
        .and_then(|mut s| {
            s.execute(params![
                row.id,
                row.kind,
                row.place,
                row.description,
                row.inputs,
                row.parent,
                row.layers,
                signed(row.size),
                row.created_at,
                row.used_at,
                signed(row.uses),
                row.boot
            ])
        })
        .map_err(Error::inserting("build_results", &row.id))?;
    keys.iter().try_for_each(|key| set_key(tx, key, &row.id))
}

/// Lets `key` stand for a result.
pub fn set_key(tx: &Tx<'_>, key: &str, id: &str) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("INSERT OR REPLACE INTO build_keys (key, result) VALUES (?1, ?2)")
        .and_then(|mut s| s.execute([key, id]))
        .map(drop)
        .map_err(Error::at("record a key of a build"))
}

/// The result that a key stands for.
pub fn find(view: &View<'_>, key: &str) -> Result<Option<ResultRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM build_results JOIN build_keys ON result = id WHERE key = ?1"
        ))
        .and_then(|mut s| s.query_row([key], from_row).optional())
        .map_err(Error::at("look up a key of a build"))
}

/// The newest result of one step of one Dockerfile.
pub fn at_place(view: &View<'_>, place: &str) -> Result<Option<ResultRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM build_results WHERE place = ?1 ORDER BY used_at DESC LIMIT 1"
        ))
        .and_then(|mut s| s.query_row([place], from_row).optional())
        .map_err(Error::at("look up a step of a build"))
}

/// Remembers that a result was used.
pub fn used(tx: &Tx<'_>, id: &str) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("UPDATE build_results SET used_at = ?2, uses = uses + 1 WHERE id = ?1")
        .and_then(|mut s| s.execute(params![id, crate::now()]))
        .map(drop)
        .map_err(Error::at("record a use"))
}

/// All keys that stand for a result.
pub fn keys(view: &View<'_>, id: &str) -> Result<Vec<String>, Error> {
    view.connection()
        .prepare_cached("SELECT key FROM build_keys WHERE result = ?1 ORDER BY key")
        .and_then(|mut s| s.query_map([id], |row| row.get(0))?.collect())
        .map_err(Error::at("list keys of a result"))
}

/// All results, the one that was used last at the end.
pub fn list(view: &View<'_>) -> Result<Vec<ResultRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM build_results ORDER BY used_at, created_at, id"
        ))
        .and_then(|mut s| s.query_map([], from_row)?.collect())
        .map_err(Error::at("list results of builds"))
}

/// Deletes a result with its keys and its lease; whether there was one.
pub fn delete(tx: &Tx<'_>, id: &str) -> Result<bool, Error> {
    let gone = tx
        .connection()
        .prepare_cached("DELETE FROM build_results WHERE id = ?1")
        .and_then(|mut s| s.execute([id]))
        .map(|n| n != 0)
        .map_err(Error::at("delete a result of a build"))?;
    crate::leases::delete(tx, id)?;
    Ok(gone)
}

/// The results of that boot whose bytes may not be on the disk yet. (`boot != ''` is what
/// lets the index of the unsettled ones be used.)
pub fn unsettled(view: &View<'_>, boot: &str) -> Result<Vec<String>, Error> {
    view.connection()
        .prepare_cached("SELECT id FROM build_results WHERE boot != '' AND boot = ?1")
        .and_then(|mut s| s.query_map([boot], |row| row.get(0))?.collect())
        .map_err(Error::at("look for unsettled results of builds"))
}

/// All bytes of these results are on the disk.
pub fn settle(tx: &Tx<'_>, ids: &[String]) -> Result<(), Error> {
    let mut statement = tx
        .connection()
        .prepare_cached("UPDATE build_results SET boot = '' WHERE id = ?1")
        .map_err(Error::at("settle results of builds"))?;
    for id in ids {
        let settled = statement.execute([id]);
        settled.map_err(Error::at("settle results of builds"))?;
    }
    Ok(())
}

/// Deletes the results whose bytes may have been lost, all but those of `boot`; how many.
pub fn forget_unsettled(tx: &Tx<'_>, boot: &str) -> Result<usize, Error> {
    let lost: Vec<String> = tx
        .connection()
        .prepare_cached("SELECT id FROM build_results WHERE boot != '' AND boot != ?1")
        .and_then(|mut s| s.query_map([boot], |row| row.get(0))?.collect())
        .map_err(Error::at("look for lost results of builds"))?;
    for id in &lost {
        delete(tx, id)?;
    }
    Ok(lost.len())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ResultRow> {
    let unsigned = |index| -> rusqlite::Result<u64> {
        Ok(u64::try_from(row.get::<_, i64>(index)?).unwrap_or(0))
    };
    Ok(ResultRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        place: row.get(2)?,
        description: row.get(3)?,
        inputs: row.get(4)?,
        parent: row.get(5)?,
        layers: row.get(6)?,
        size: unsigned(7)?,
        created_at: row.get(8)?,
        used_at: row.get(9)?,
        uses: unsigned(10)?,
        boot: row.get(11)?,
    })
}
