//! How much a volume may hold: project quotas, where the file system has them. Each
//! volume with a limit is a project of its own.

use std::path::Path;

use gantry_sys::Errno;

use crate::{Error, Result};

/// Lets an empty directory hold at most so many bytes.
///
/// # Errors
/// `Invalid`, in Docker's words, where the file system cannot.
pub(crate) fn limit(name: &str, directory: &Path, bytes: u64) -> Result<()> {
    let opened = crate::copies::open(directory)?;
    let set = |errno: Errno| refuse(name, directory, errno);
    let project = gantry_sys::new_project(&opened).map_err(set)?;
    gantry_sys::set_project(&opened, project).map_err(set)?;
    gantry_sys::limit_project(&opened, project, bytes).map_err(set)
}

/// Makes an empty directory a part of what another one may hold.
pub(crate) fn share(limited: &Path, directory: &Path) -> Result<()> {
    let failed = |errno: Errno| Error::disk("set the project of", directory)(errno);
    let project = gantry_sys::project_of(crate::copies::open(limited)?).map_err(failed)?;
    gantry_sys::set_project(crate::copies::open(directory)?, project).map_err(failed)
}

/// Takes the limit away, so that the project's number is nobody's.
pub(crate) fn forget(directory: &Path) {
    let Ok(opened) = crate::copies::open(directory) else {
        return;
    };
    if let Ok(project) = gantry_sys::project_of(&opened)
        && project != 0
    {
        let _ = gantry_sys::limit_project(&opened, project, 0);
    }
}

fn refuse(name: &str, directory: &Path, errno: Errno) -> Error {
    let none = [
        Errno::NOTTY,
        Errno::OPNOTSUPP,
        Errno::SRCH,
        Errno::NOSYS,
        Errno::INVAL,
    ];
    match none.contains(&errno) {
        true => Error::Invalid {
            name: name.to_owned(),
            why: "quota size requested but no quota support".to_owned(),
        },
        false => Error::disk("limit", directory)(errno),
    }
}
