//! Tables `leases` and `lease_items`: what a running operation needs though no
//! record points at it yet. A lease lives as long as the daemon that made it:
//! the next one clears all when it starts.

use gantry_types::DiffId;
use rusqlite::params;

use crate::{Error, Tx, View};

/// What kind of thing a lease holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image, by id.
    Image,
    /// A blob, by digest.
    Blob,
    /// A snapshot, by name.
    Snapshot,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Blob => "blob",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Adds a lease. Fails with [`Error::Exists`] when the id is taken.
pub fn insert(tx: &Tx<'_>, id: &str, purpose: &str) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("INSERT INTO leases (id, purpose, created_at) VALUES (?1, ?2, ?3)")
        .and_then(|mut s| s.execute(params![id, purpose, crate::now()]))
        .map_err(Error::inserting("leases", id))?;
    Ok(())
}

/// Lets a lease hold one more thing.
pub fn hold(tx: &Tx<'_>, id: &str, kind: Kind, key: &str) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO lease_items (lease, kind, key) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| s.execute(params![id, kind.text(), key]))
        .map_err(Error::at("extend lease"))?;
    Ok(())
}

/// Lets a lease hold all blobs of a layer, and what is said of it when it was made here.
pub fn hold_layer(tx: &Tx<'_>, id: &str, diff_id: DiffId) -> Result<(), Error> {
    hold(tx, id, Kind::Blob, &diff_id.to_string())?;
    for row in crate::layers::by_diff_id(tx, diff_id)? {
        hold(tx, id, Kind::Blob, &row.blob.to_string())?;
    }
    Ok(())
}

/// Ends a lease and lets go of all it held; whether there was one.
pub fn delete(tx: &Tx<'_>, id: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM leases WHERE id = ?1")
        .and_then(|mut s| s.execute([id]))
        .map(|n| n != 0)
        .map_err(Error::at("end lease"))
}

/// Ends all leases but those of the cache of builds; how many there were.
pub fn clear(tx: &Tx<'_>) -> Result<usize, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM leases WHERE id NOT IN (SELECT id FROM build_results)")
        .and_then(|mut s| s.execute([]))
        .map_err(Error::at("end leases"))
}

/// The ids of all leases of running operations, and what they are for.
pub fn list(view: &View<'_>) -> Result<Vec<(String, String)>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT id, purpose FROM leases WHERE id NOT IN (SELECT id FROM build_results) \
             ORDER BY created_at",
        )
        .and_then(|mut s| {
            s.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .map_err(Error::at("list leases"))
}

/// Whether any lease holds the thing.
pub fn is_held(view: &View<'_>, kind: Kind, key: &str) -> Result<bool, Error> {
    view.connection()
        .prepare_cached("SELECT 1 FROM lease_items WHERE kind = ?1 AND key = ?2 LIMIT 1")
        .and_then(|mut s| s.exists(params![kind.text(), key]))
        .map_err(Error::at("read leases"))
}

/// The names of all snapshots that leases hold.
pub fn held_snapshots(view: &View<'_>) -> Result<Vec<String>, Error> {
    view.connection()
        .prepare_cached("SELECT DISTINCT key FROM lease_items WHERE kind = 'snapshot'")
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .map_err(Error::at("list what leases hold"))
}
