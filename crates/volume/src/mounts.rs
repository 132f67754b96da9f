//! What plug-ins were asked to mount: each request is written down before it is made,
//! and struck out when the plug-in was told that it is needed no more. So the two
//! balance, also when the engine dies in between.

use std::path::PathBuf;

use gantry_metadata::volume_mounts::{self, MountRow};

use crate::driver::VolumeDriver;
use crate::store::VolumeStore;
use crate::{Error, Result, Volume, name};

/// Mounts that are needed no more.
#[must_use]
pub struct Leaving(Vec<MountRow>);

impl Leaving {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl VolumeStore {
    /// Lets the plug-in of a volume mount it for `holder`; answers where.
    ///
    /// # Errors
    /// `Mount`, `Metadata`.
    pub fn mount(&self, volume: &Volume, holder: &str) -> Result<PathBuf> {
        let plugin = self.plugin("mount", &volume.name, &volume.driver);
        let plugin = plugin.map_err(|error| Error::Mount {
            why: error.to_string(),
            unanswered: false,
        })?;
        let row = MountRow {
            id: name::random()?,
            volume: volume.name.clone(),
            driver: volume.driver.clone(),
            holder: holder.to_owned(),
        };
        self.database.write(|tx| volume_mounts::insert(tx, &row))?;
        let mounted = plugin.mount(&volume.name, &row.id);
        if let Err(Error::Mount {
            unanswered: false, ..
        }) = &mounted
        {
            // It has said that it has not.
            self.strike_out(&row);
        }
        mounted
    }

    /// The holder needs its mounts no more. They are struck out by
    /// [`VolumeStore::unmount`], which may take its time; until then nobody removes
    /// these volumes.
    pub fn begin_unmount(&self, holder: &str) -> Leaving {
        self.leaving(|row| row.holder == holder)
    }

    /// Those of holders that do not live any more, after a crash.
    pub fn begin_unmount_of_dead(&self, lives: impl Fn(&str) -> bool) -> Leaving {
        self.leaving(|row| !lives(&row.holder))
    }

    fn leaving(&self, wanted: impl Fn(&MountRow) -> bool) -> Leaving {
        let rows = self.database.read(volume_mounts::list);
        let mut rows = rows.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot tell which volumes plug-ins have mounted");
            Vec::new()
        });
        rows.retain(wanted);
        rows.iter().for_each(|row| self.turns.leave(&row.volume));
        Leaving(rows)
    }

    /// Tells the plug-ins. One that does not answer is told by the next engine.
    pub fn unmount(&self, leaving: Leaving) {
        for row in leaving.0 {
            let plugin = self.plugin("unmount", &row.volume, &row.driver);
            match plugin.and_then(|plugin| plugin.unmount(&row.volume, &row.id)) {
                Ok(()) => self.strike_out(&row),
                Err(error) => {
                    tracing::warn!(volume = row.volume, %error, "a volume stays mounted by its plug-in");
                }
            }
            self.turns.left(&row.volume);
        }
    }

    fn strike_out(&self, row: &MountRow) {
        let deleted = self.database.write(|tx| volume_mounts::delete(tx, &row.id));
        if let Err(error) = deleted {
            tracing::warn!(volume = row.volume, %error, "a plug-in will be told twice");
        }
    }
}
