//! Whether containers have what their records speak of, and whether what lies there
//! is of a container.

use gantry_types::sort::IntoMap;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_image::Finding;
use gantry_snapshot::SnapshotDriver;
use gantry_types::{ChainId, ContainerId};

use super::{Containers, Record, remove};
use crate::error::{Error, Result};

/// What can be done about what only a container itself had.
const LOST: &str = "what it wrote is lost: remove it (docker rm -f)";
const REPAIR: &str = "can be repaired";

impl Containers {
    /// The layers that running containers stand on.
    pub(crate) fn layers_in_use(&self) -> HashSet<ChainId> {
        let all = self.inner.table.all();
        let running = all.iter().filter(|container| container.state().active());
        let records: Vec<_> = running.map(|container| container.record()).collect();
        layers_below(
            &self.inner.snapshots,
            records.iter().map(|record| &**record),
        )
    }

    /// Checks all containers, and tells what it finds. Answers how many there are.
    ///
    /// # Errors
    /// When something cannot be found out at all.
    pub(crate) fn check(&self, repair: bool, tell: &mut dyn FnMut(Finding)) -> Result<u64> {
        let inner = &self.inner;
        let all = inner.table.all();
        for container in &all {
            let id = container.id().as_str();
            let place = inner.snapshots.directory(id);
            let there = place.as_ref().is_ok_and(|directory| directory.is_dir());
            // What belongs to one goes only after it, but for a step's, which becomes a layer.
            if !there && !container.record().step && inner.table.get(container.id()).is_some() {
                let problem = "its file system is gone".to_owned();
                tell(finding("container", id, problem, Err(LOST)));
            }
            let dir = container.record().dir(&inner.settings.data_root);
            if dir.is_dir() || inner.table.get(container.id()).is_none() {
                continue;
            }
            let problem = format!("its directory {} is gone", dir.display());
            let made = match repair {
                false => Err(REPAIR),
                true => {
                    super::create::make_dir(&dir)?;
                    Ok("made again, without its logs")
                }
            };
            tell(finding("container", id, problem, made));
        }
        self.check_strays(repair, tell)?;
        Ok(all.len() as u64)
    }

    /// What is of no container, and not of one that is just being made.
    fn check_strays(&self, repair: bool, tell: &mut dyn FnMut(Finding)) -> Result<()> {
        let inner = &self.inner;
        let problem = || "is of no container".to_owned();
        for path in self.stray_directories()? {
            let done = match repair {
                false => Err(REPAIR),
                true => {
                    remove::remove_dir(&path);
                    Ok("it was removed")
                }
            };
            let name = path.display().to_string();
            tell(finding("directory", &name, problem(), done));
        }
        let claimed: HashSet<String> = {
            let all = inner.table.all();
            let records = all.iter().map(|container| container.record());
            let keys = records.flat_map(|record| {
                let points = record.mounts.iter().filter_map(|point| point.snapshot());
                points.map(str::to_owned).collect::<Vec<_>>()
            });
            keys.collect()
        };
        for status in inner.snapshots.list() {
            let Ok(id) = status.key.parse::<ContainerId>() else {
                // Of a container that mounts an image, or of a layer on its way.
                continue;
            };
            let claimed = claimed.contains(&status.key) || inner.table.is_claimed(&id);
            // Ids are given once: one that nobody claims any more and that is there
            // stays. One may have gone since it was listed.
            if status.committed || claimed || inner.snapshots.status(&status.key).is_err() {
                continue;
            }
            let done = match repair {
                false => Err(REPAIR),
                true => {
                    inner.snapshots.remove(&status.key)?;
                    Ok("it was removed")
                }
            };
            tell(finding("file system", &status.key, problem(), done));
        }
        Ok(())
    }

    fn stray_directories(&self) -> Result<Vec<PathBuf>> {
        let root = self.inner.settings.data_root.join("containers");
        let entries = match root.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", root, error)),
        };
        let strays = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok());
            let claimed = id.is_some_and(|id| self.inner.table.is_claimed(&id));
            // It may have gone, with its container, since it was listed.
            !claimed && entry.path().symlink_metadata().is_ok()
        });
        Ok(strays.map(|entry| entry.path()).collect())
    }
}

/// The layers that containers stand on.
pub(crate) fn layers_below<'r>(
    snapshots: &Arc<dyn SnapshotDriver>,
    records: impl Iterator<Item = &'r Record>,
) -> HashSet<ChainId> {
    let parents: BTreeMap<String, Option<String>> = snapshots
        .list()
        .into_iter()
        .map(|status| (status.key, status.parent))
        .into_map();
    let mut used = HashSet::new();
    for record in records {
        let claimed = record.mounts.iter().filter_map(|point| point.snapshot());
        for key in claimed.chain([record.id.as_str()]) {
            let mut next = parents.get(key).cloned().flatten();
            while let Some(layer) = next {
                let known = layer.parse().map(ChainId);
                if known.is_ok_and(|chain| !used.insert(chain)) {
                    break;
                }
                next = parents.get(&layer).cloned().flatten();
            }
        }
    }
    used
}

/// What was found, and what was done about it or can be.
pub(crate) fn finding(
    kind: &'static str,
    name: &str,
    problem: String,
    done: Result<&str, &str>,
) -> Finding {
    Finding {
        kind,
        name: name.to_owned(),
        problem,
        repaired: done.ok().map(str::to_owned),
        advice: done.err().map(str::to_owned),
    }
}
