//! Table `volume_mounts`: what volume plug-ins were asked to mount, and for whom. A row
//! is there before the plug-in is asked, and goes when it was told that the mount is
//! needed no more: so also what a crash leaves is told.

use rusqlite::params;

use crate::{Error, Tx, View};

/// One request to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRow {
    /// Unique; the plug-in knows it.
    pub id: String,
    /// The volume's name.
    pub volume: String,
    /// The plug-in's name.
    pub driver: String,
    /// Who wants it.
    pub holder: String,
}

/// Adds one.
pub fn insert(tx: &Tx<'_>, row: &MountRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO volume_mounts (id, volume, driver, holder) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut s| s.execute(params![row.id, row.volume, row.driver, row.holder]))
        .map_err(Error::inserting("volume_mounts", &row.id))?;
    Ok(())
}

/// Deletes one.
pub fn delete(tx: &Tx<'_>, id: &str) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("DELETE FROM volume_mounts WHERE id = ?1")
        .and_then(|mut s| s.execute([id]))
        .map_err(Error::at("delete the mount of a volume"))?;
    Ok(())
}

/// All of them.
pub fn list(view: &View<'_>) -> Result<Vec<MountRow>, Error> {
    view.connection()
        .prepare_cached("SELECT id, volume, driver, holder FROM volume_mounts ORDER BY id")
        .and_then(|mut s| {
            s.query_map([], |row| {
                Ok(MountRow {
                    id: row.get(0)?,
                    volume: row.get(1)?,
                    driver: row.get(2)?,
                    holder: row.get(3)?,
                })
            })?
            .collect()
        })
        .map_err(Error::at("list the mounts of volumes"))
}
