//! `system check`: whether the records and the disk agree, and what of it can be
//! repaired, while everything goes on.

use std::sync::Arc;

use gantry_api::{CheckFinding, CheckSummary};
use gantry_image::{CheckOptions, Finding};
use gantry_volume::{Backing, Listed, VolumeStore};

use crate::containers::finding;
use crate::error::{Error, Result};
use crate::system::System;

impl System {
    /// Looks at everything that the data root holds, and tells what it finds. With
    /// `repair` what can be repaired is; `quick` leaves the contents of blobs and layers
    /// alone.
    ///
    /// # Errors
    /// `Conflict` while another check runs; when something cannot be found out at all.
    pub fn check(
        &self,
        repair: bool,
        quick: bool,
        tell: &mut dyn FnMut(CheckFinding) -> bool,
    ) -> Result<CheckSummary> {
        let inner = &self.inner;
        let Ok(_alone) = inner.checking.try_lock() else {
            let text = "the data root is being checked already".to_owned();
            return Err(Error::Conflict(text));
        };
        let mut summary = CheckSummary::default();
        let mut found = |finding: Finding| {
            summary.found += 1;
            summary.repaired += u64::from(finding.repaired.is_some());
            tracing::warn!(
                kind = finding.kind,
                name = finding.name,
                problem = finding.problem,
                repaired = finding.repaired,
                "found by a check"
            );
            // What was begun is done, whether the client still listens or not.
            tell(CheckFinding {
                kind: finding.kind.to_owned(),
                name: finding.name,
                problem: finding.problem,
                repaired: finding.repaired,
                advice: finding.advice,
            })
        };
        for line in inner.images.database_damage(!quick)? {
            let advice = "stop the daemon and put a copy of metadata.db in its place";
            found(finding("database", "metadata.db", line, Err(advice)));
        }
        let options = CheckOptions { repair, quick };
        let containers = &inner.containers;
        let in_use = |chain| containers.layers_in_use().contains(&chain);
        let checked = inner.images.check(options, &in_use, &mut found)?;
        let containers = containers.check(repair, &mut |finding| {
            found(finding);
        })?;
        let volumes = check_volumes(self.inner.volumes.store(), repair, &mut |finding| {
            found(finding);
        })?;
        summary.images = checked.images;
        summary.layers = checked.layers;
        summary.blobs = checked.blobs;
        summary.containers = containers;
        summary.volumes = volumes;
        Ok(summary)
    }
}

/// Checks all volumes, and answers how many there are.
pub(crate) fn check_volumes(
    store: &VolumeStore,
    repair: bool,
    tell: &mut dyn FnMut(Finding),
) -> Result<u64> {
    let all = store.list();
    for listed in &all {
        let volume = &listed.volume;
        if volume.backing != Backing::Directory {
            continue;
        }
        // Its directory goes with it: the very same volume, before and after, has one.
        let same = |now: Listed| Arc::ptr_eq(&now.volume, volume);
        if volume.directory.is_dir() || !store.get(&volume.name).is_ok_and(same) {
            continue;
        }
        let done = match repair {
            false => Err("can be repaired, but what it held is lost"),
            true => {
                VolumeStore::make_missing_directory(volume)?;
                Ok("an empty directory was made")
            }
        };
        let problem = format!("its directory {} is gone", volume.directory.display());
        tell(finding("volume", &volume.name, problem, done));
    }
    for path in store.strays(repair)? {
        let done = match repair {
            false => Err("can be repaired"),
            true => Ok("it was removed"),
        };
        let problem = "is of no volume".to_owned();
        tell(finding(
            "directory",
            &path.display().to_string(),
            problem,
            done,
        ));
    }
    Ok(all.len() as u64)
}
