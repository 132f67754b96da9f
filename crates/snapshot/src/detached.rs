//! Mounts that are attached nowhere: for the probe and the conformance suite,
//! which must leave no trace in the host's mount table.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_types::Mount;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string,
    fsmount, fsopen, open_tree,
};

/// What a layer's directory must contain by itself. Kernels that do not know
/// an option do not do what it forbids.
const OPTIONS: [(&str, &str); 3] = [
    ("redirect_dir", "nofollow"),
    ("metacopy", "off"),
    ("index", "off"),
];

/// Makes the mount; it ends when the handle is closed.
pub(crate) fn mount(mount: &Mount) -> Result<OwnedFd, Errno> {
    match mount {
        Mount::Bind { source, .. } => open_tree(
            CWD,
            source.as_path(),
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
        ),
        Mount::Overlay { lower, upper } => overlay(lower, upper.as_ref()),
    }
}

fn overlay(lower: &[PathBuf], upper: Option<&(PathBuf, PathBuf)>) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in OPTIONS {
        match fsconfig_set_string(&context, key, value) {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    set_lower(&context, lower)?;
    if let Some((upper, work)) = upper {
        fsconfig_set_string(&context, "upperdir", upper.as_path())?;
        fsconfig_set_string(&context, "workdir", work.as_path())?;
    }
    fsconfig_create(&context)?;
    let attributes = if upper.is_some() {
        MountAttrFlags::empty()
    } else {
        MountAttrFlags::MOUNT_ATTR_RDONLY
    };
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// One by one (Linux 6.5), or all in one string where that fits.
fn set_lower(context: &OwnedFd, lower: &[PathBuf]) -> Result<(), Errno> {
    let Some((first, rest)) = lower.split_first() else {
        return Err(Errno::INVAL);
    };
    match fsconfig_set_string(context, "lowerdir+", first.as_path()) {
        Ok(()) => {}
        Err(Errno::INVAL) => return set_joined(context, lower),
        Err(errno) => return Err(errno),
    }
    rest.iter()
        .try_for_each(|path| fsconfig_set_string(context, "lowerdir+", path.as_path()))
}

fn set_joined(context: &OwnedFd, lower: &[PathBuf]) -> Result<(), Errno> {
    let joined = lower
        .iter()
        .map(|path| path.to_string_lossy())
        .collect::<Vec<_>>()
        .join(":");
    fsconfig_set_string(context, "lowerdir", joined)
}

/// A path to what is in the mount, as long as the handle is open.
pub(crate) fn path_in(mounted: &OwnedFd, name: &str) -> PathBuf {
    use std::os::fd::AsRawFd;
    Path::new("/proc/self/fd")
        .join(mounted.as_raw_fd().to_string())
        .join(name)
}
