//! Table `snapshots`: one row for each file-system state that a storage driver
//! keeps. The number `id` is never given twice, so it can name a directory.

use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View};

const TABLE: &str = "snapshots";
const COLUMNS: &str = "id, driver, name, kind, parent, size, inodes, created_at";

/// Whether a snapshot can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Writable: a container's, or a layer being unpacked.
    Active,
    /// Read-only, may be a parent.
    Committed,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Committed => "committed",
        }
    }
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Given by [`insert`], never again to another snapshot.
    pub id: i64,
    /// The storage driver's name.
    pub driver: String,
    /// A chainID for committed layers, a container id or random key for active ones.
    pub name: String,
    /// Whether it can still change.
    pub kind: Kind,
    /// The name of the committed snapshot below.
    pub parent: Option<String>,
    /// Bytes of this layer alone.
    pub size: u64,
    /// Inodes of this layer alone.
    pub inodes: u64,
    /// Nanoseconds since 1970.
    pub created_at: i64,
}

/// Adds an active or committed snapshot and answers its number. Fails with
/// [`Error::Exists`] when the driver has one of this name.
pub fn insert(
    tx: &Tx<'_>,
    driver: &str,
    name: &str,
    kind: Kind,
    parent: Option<&str>,
) -> Result<i64, Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO snapshots (driver, name, kind, parent, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut s| s.insert(params![driver, name, kind.text(), parent, crate::now()]))
        .map_err(Error::inserting(TABLE, name))
}

/// Turns the active snapshot `name` into the committed one `committed` with
/// the parent and measures given; whether there was one. Fails with
/// [`Error::Exists`] when `committed` exists.
pub fn commit(
    tx: &Tx<'_>,
    driver: &str,
    name: &str,
    committed: &str,
    parent: Option<&str>,
    size: u64,
    inodes: u64,
) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached(
            "UPDATE snapshots SET name = ?3, kind = 'committed', parent = ?4, size = ?5, \
             inodes = ?6 WHERE driver = ?1 AND name = ?2 AND kind = 'active'",
        )
        .and_then(|mut s| {
            s.execute(params![
                driver,
                name,
                committed,
                parent,
                clamp(size),
                clamp(inodes)
            ])
        })
        .map(|n| n != 0)
        .map_err(Error::inserting(TABLE, committed))
}

/// Deletes a snapshot's row; whether there was one.
pub fn delete(tx: &Tx<'_>, driver: &str, name: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM snapshots WHERE driver = ?1 AND name = ?2")
        .and_then(|mut s| s.execute([driver, name]))
        .map(|n| n != 0)
        .map_err(Error::at("delete snapshot"))
}

/// The snapshot of that name.
pub fn get(view: &View<'_>, driver: &str, name: &str) -> Result<Option<SnapshotRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM snapshots WHERE driver = ?1 AND name = ?2"
        ))
        .and_then(|mut s| s.query_row([driver, name], from_row).optional())
        .map_err(Error::at("read snapshot"))
}

/// The snapshot and all below it, top first. Fails with [`Error::Damaged`]
/// when the chain is longer than 1024 or a parent is missing.
pub fn chain(view: &View<'_>, driver: &str, name: &str) -> Result<Vec<SnapshotRow>, Error> {
    let mut rows: Vec<SnapshotRow> = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        match get(view, driver, &name)? {
            Some(row) if rows.len() < 1024 => {
                next = row.parent.clone();
                rows.push(row);
            }
            None if rows.is_empty() => break,
            _ => {
                return Err(Error::Damaged {
                    table: TABLE,
                    column: "parent",
                    value: name,
                });
            }
        }
    }
    Ok(rows)
}

/// Whether any snapshot has `name` as its parent.
pub fn has_children(view: &View<'_>, driver: &str, name: &str) -> Result<bool, Error> {
    view.connection()
        .prepare_cached("SELECT 1 FROM snapshots WHERE driver = ?1 AND parent = ?2 LIMIT 1")
        .and_then(|mut s| s.exists([driver, name]))
        .map_err(Error::at("read snapshot children"))
}

/// All snapshots of a driver, oldest first.
pub fn list(view: &View<'_>, driver: &str) -> Result<Vec<SnapshotRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM snapshots WHERE driver = ?1 ORDER BY id"
        ))
        .and_then(|mut s| s.query_map([driver], from_row)?.collect())
        .map_err(Error::at("list snapshots"))
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<SnapshotRow> {
    let kind: String = row.get(3)?;
    Ok(SnapshotRow {
        id: row.get(0)?,
        driver: row.get(1)?,
        name: row.get(2)?,
        kind: if kind == "active" {
            Kind::Active
        } else {
            Kind::Committed
        },
        parent: row.get(4)?,
        size: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        inodes: u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
        created_at: row.get(7)?,
    })
}
