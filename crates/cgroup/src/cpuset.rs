//! Placement on processors and memory nodes: `cpuset`.

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::resources::Cpu;

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Lets the kernel copy a directory's sets into its new children.
const CLONE_CHILDREN: &str = "cgroup.clone_children";

/// Copies the parent's sets into a new v1 directory (an empty set takes no
/// task), and lets the kernel do so for those below it. That comes last: where it
/// is said, the sets are there. A parent that another start has just made gets
/// its own sets first.
pub(crate) fn inherit(child: &Directory, parent: &Directory) -> Result<()> {
    if child.number(CLONE_CHILDREN) == Some(1) {
        return Ok(());
    }
    for file in FILES {
        if child.read(file)?.trim().is_empty() {
            let inherited = sets_of(parent, file)?;
            if !inherited.is_empty() {
                child.write(file, &inherited)?;
            }
        }
    }
    child.write(CLONE_CHILDREN, "1")
}

fn sets_of(parent: &Directory, file: &str) -> Result<String> {
    let set = parent.read(file)?.trim().to_owned();
    let above = parent
        .path
        .parent()
        .map(|path| Directory::new(path.to_owned()));
    match above.filter(|above| above.number(CLONE_CHILDREN).is_some()) {
        Some(above) if set.is_empty() => {
            inherit(parent, &above)?;
            Ok(parent.read(file)?.trim().to_owned())
        }
        _ => Ok(set),
    }
}

pub(crate) fn apply(group: &Cgroup, cpu: &Cpu) -> Result<()> {
    for (file, value) in FILES.into_iter().zip([&cpu.cpus, &cpu.mems]) {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else {
            continue;
        };
        let dir = group
            .v1_dir(Controller::Cpuset)
            .or_else(|| group.v2_dir(Controller::Cpuset))
            .ok_or(Error::MissingController {
                controller: "cpuset",
                limit: "placement on processors and memory nodes",
            })?;
        dir.write(file, value)?;
    }
    Ok(())
}
