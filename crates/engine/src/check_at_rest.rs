//! The check of a data root that no daemon has open. What a daemon does when it
//! opens its stores is done here, too: what a crash has left of half-made blobs and
//! layers goes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use gantry_api::{CheckFinding, CheckSummary};
use gantry_content::ContentStore;
use gantry_image::{CheckOptions, Finding, ImageStore};
use gantry_metadata::Database;
use gantry_snapshot::SnapshotDriver;
use gantry_volume::VolumeStore;

use crate::check::check_volumes;
use crate::containers::{Record, State, finding, layers_below};
use crate::engine::{clean_snapshots, open_snapshots};
use crate::error::{Error, Result};

/// What can be done about records that cannot be read.
const RESTORE: &str = "put a copy of metadata.db in its place; without one, move it away: images, \
                       containers and volumes are unknown to the daemon then";

/// Checks everything that `data_root` holds, as [`crate::System::check`] does, and a
/// database that no daemon could open. The caller has made sure that no daemon runs.
///
/// # Errors
/// When there is no data root, or something cannot be found out at all.
pub fn check_at_rest(
    data_root: &Path,
    repair: bool,
    quick: bool,
    tell: &mut dyn FnMut(CheckFinding),
) -> Result<CheckSummary> {
    let path = data_root.join("metadata.db");
    if !path.is_file() {
        let there_is_none = std::io::ErrorKind::NotFound.into();
        return Err(Error::io("open", path, there_is_none));
    }
    let mut summary = CheckSummary::default();
    let mut found = |finding: Finding| {
        summary.found += 1;
        summary.repaired += u64::from(finding.repaired.is_some());
        tell(CheckFinding {
            kind: finding.kind.to_owned(),
            name: finding.name,
            problem: finding.problem,
            repaired: finding.repaired,
            advice: finding.advice,
        });
        true
    };
    let Some(database) = sound_database(&path, repair, quick, &mut found)? else {
        return Ok(summary);
    };
    let snapshots = open_snapshots(data_root, None, &database)?;
    let content = ContentStore::open(data_root.join("content"), Arc::clone(&database))
        .map_err(gantry_image::Error::from)?;
    let images = ImageStore::open(Arc::clone(&database), content, Arc::clone(&snapshots))?;
    clean_snapshots(&database, &snapshots)?;
    let records = records(&database)?;
    let running = records.iter().filter(|(_, state)| state.active());
    let in_use = layers_below(&snapshots, running.map(|(record, _)| record));
    let options = CheckOptions { repair, quick };
    let checked = images.check(options, &|chain| in_use.contains(&chain), &mut found)?;
    for (record, _) in &records {
        container(record, data_root, &snapshots, &mut found);
    }
    // Plug-ins look after their own volumes: none is asked.
    let plugins = Default::default();
    let volumes = VolumeStore::open(data_root.join("volumes"), database, plugins)?;
    let volumes = check_volumes(&volumes, repair, &mut |finding| {
        found(finding);
    })?;
    summary.images = checked.images;
    summary.layers = checked.layers;
    summary.blobs = checked.blobs;
    summary.containers = records.len() as u64;
    summary.volumes = volumes;
    Ok(summary)
}

/// Opens the database, if it is sound or could be made so.
fn sound_database(
    path: &Path,
    repair: bool,
    quick: bool,
    found: &mut dyn FnMut(Finding) -> bool,
) -> Result<Option<Arc<Database>>> {
    let problem = match Database::open(path) {
        Ok(database) => match database.damage(!quick)?.first() {
            None => return Ok(Some(Arc::new(database))),
            Some(line) => line.clone(),
        },
        Err(error) if error.is_damage() => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    let mended = match repair {
        false => {
            let advice = "its tables can perhaps be read: check again with --repair; else ";
            Err(format!("{advice}{RESTORE}"))
        }
        true => match gantry_metadata::mend(path) {
            Ok(old) => Ok(format!(
                "its tables were copied; the damaged file is {}",
                old.display()
            )),
            Err(error) => Err(format!("{error}: {RESTORE}")),
        },
    };
    let whole = mended.is_ok();
    let told = mended.as_deref().map_err(String::as_str);
    found(finding("database", "metadata.db", problem, told));
    match whole {
        true => Ok(Some(Arc::new(Database::open(path)?))),
        false => Ok(None),
    }
}

/// All containers whose records can be read.
fn records(database: &Database) -> Result<Vec<(Record, State)>> {
    let rows = database.read(gantry_metadata::containers::list)?;
    let parsed = rows.into_iter().filter_map(|row| {
        let state = serde_json::from_str(&row.state).unwrap_or_default();
        Some((Record::read(&row.record).ok()?, state))
    });
    Ok(parsed.collect())
}

/// Looks whether a container has its file system and its directory.
fn container(
    record: &Record,
    data_root: &Path,
    snapshots: &Arc<dyn SnapshotDriver>,
    found: &mut dyn FnMut(Finding) -> bool,
) {
    let id = record.id.as_str();
    let place = snapshots.directory(id);
    let mut gone = HashSet::new();
    // That of a build's step has become a layer; the next daemon removes the rest.
    if !record.step && !place.is_ok_and(|directory| directory.is_dir()) {
        gone.insert("its file system is gone".to_owned());
    }
    let dir = record.dir(data_root);
    if !dir.is_dir() {
        gone.insert(format!("its directory {} is gone", dir.display()));
    }
    for problem in gone {
        let advice = "remove it (docker rm -f), or start a daemon and check again with --repair";
        found(finding("container", id, problem, Err(advice)));
    }
}
