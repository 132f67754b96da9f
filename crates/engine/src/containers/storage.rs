//! `--storage-opt size=`: how much a container may write, by a project quota of the file
//! system that the layers are on.

use std::fs::File;
use std::path::PathBuf;

use gantry_api::HostConfig;
use gantry_snapshot::SnapshotDriver;
use gantry_sys::Errno;
use gantry_types::units::parse_size;
use gantry_types::{ContainerId, Mount};

use crate::error::{Error, Result};

/// The directories that hold what a container writes: files are made in the second one
/// before they are in the first. `None` where only copies are made.
fn written(snapshots: &dyn SnapshotDriver, id: &ContainerId) -> Result<Option<Vec<PathBuf>>> {
    Ok(match snapshots.mounts(id.as_str())? {
        Mount::Overlay {
            upper: Some((upper, work)),
            ..
        } => Some(vec![upper, work]),
        _ => None,
    })
}

/// Limits a new container, if that is asked for.
///
/// # Errors
/// `Invalid` in Docker's words where the file system cannot, or for what is no size.
pub(super) fn limit(
    snapshots: &dyn SnapshotDriver,
    id: &ContainerId,
    host: &HostConfig,
) -> Result<()> {
    // Its name may be in any case.
    let Some((_, size)) = host.storage_opt.iter().flatten().next() else {
        return Ok(());
    };
    let cannot = || {
        let text =
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
        Error::Invalid(text.to_owned())
    };
    let places = written(snapshots, id)?.ok_or_else(cannot)?;
    let refused = |errno: Errno| match errno {
        Errno::NOTTY | Errno::OPNOTSUPP | Errno::SRCH | Errno::NOSYS | Errno::INVAL => cannot(),
        errno => Error::io("limit", &places[0], errno.into()),
    };
    let opened = places
        .iter()
        .map(|place| File::open(place).map_err(|error| Error::io("open", place, error)))
        .collect::<Result<Vec<File>>>()?;
    let bytes = parse_size(size).map_err(Error::Invalid)?.unsigned_abs();
    let project = gantry_sys::new_project(&opened[0]).map_err(refused)?;
    if bytes == 0 {
        return Ok(());
    }
    for place in &opened {
        gantry_sys::set_project(place, project).map_err(refused)?;
    }
    gantry_sys::limit_project(&opened[0], project, bytes).map_err(refused)
}

/// Takes the limit of a container away that is about to go, so that the project's number
/// is nobody's.
pub(super) fn forget(snapshots: &dyn SnapshotDriver, id: &ContainerId, host: &HostConfig) {
    if host.storage_opt.as_ref().is_none_or(|all| all.is_empty()) {
        return;
    }
    let Ok(Some(places)) = written(snapshots, id) else {
        return;
    };
    let Some(opened) = places.first().and_then(|place| File::open(place).ok()) else {
        return;
    };
    if let Ok(project) = gantry_sys::project_of(&opened)
        && project != 0
    {
        let _ = gantry_sys::limit_project(&opened, project, 0);
    }
}
