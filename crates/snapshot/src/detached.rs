//! Mounts that are attached nowhere: for the probe and the conformance suite,
//! which must leave no trace in the host's mount table.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_types::Mount;
use rustix::fs::{CWD, Mode, OFlags};
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
///
/// # Errors
/// What the kernel says.
pub fn mount(mount: &Mount) -> Result<OwnedFd, Errno> {
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
    // "lowerdir+" came with 6.5; older kernels take every key, and complain in
    // their log when they mount.
    if gantry_sys::kernel_at_least(6, 5) {
        overlay_with(set_each, lower, upper)
    } else {
        overlay_with(set_joined, lower, upper)
    }
}

fn overlay_with(
    set_lower: impl FnOnce(&OwnedFd, &[PathBuf]) -> Result<Vec<OwnedFd>, Errno>,
    lower: &[PathBuf],
    upper: Option<&(PathBuf, PathBuf)>,
) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in OPTIONS {
        match fsconfig_set_string(&context, key, value) {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    let _handles = set_lower(&context, lower)?;
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

/// One by one, since Linux 6.5.
fn set_each(context: &OwnedFd, lower: &[PathBuf]) -> Result<Vec<OwnedFd>, Errno> {
    lower
        .iter()
        .try_for_each(|path| fsconfig_set_string(context, "lowerdir+", path.as_path()))?;
    Ok(Vec::new())
}

/// All in one string, of at most 255 bytes: handles have shorter names than
/// directories. They are needed until the mount is made.
fn set_joined(context: &OwnedFd, lower: &[PathBuf]) -> Result<Vec<OwnedFd>, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handles = lower
        .iter()
        .map(|path| rustix::fs::open(path, flags, Mode::empty()))
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<_> = handles
        .iter()
        .map(|handle| format!("/proc/self/fd/{}", handle.as_raw_fd()))
        .collect();
    fsconfig_set_string(context, "lowerdir", names.join(":"))?;
    Ok(handles)
}

/// How many layers [`mount`] can join here. The runtime has other ways.
pub(crate) fn most_layers() -> usize {
    if gantry_sys::kernel_at_least(6, 5) {
        500
    } else {
        10
    }
}

/// A path to what is in the mount, as long as the handle is open.
pub(crate) fn path_in(mounted: &OwnedFd, name: &str) -> PathBuf {
    Path::new("/proc/self/fd")
        .join(mounted.as_raw_fd().to_string())
        .join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_get_one_short_string() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<_> = (0..3)
            .map(|number| dir.path().join(format!("{number}-{}", "x".repeat(120))))
            .collect();
        for (number, layer) in layers.iter().enumerate() {
            std::fs::create_dir(layer).unwrap();
            std::fs::write(layer.join(number.to_string()), "x").unwrap();
        }
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        let _handles = set_joined(&context, &layers).unwrap();
        fsconfig_create(&context).unwrap();
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        let mounted = fsmount(context, flags, MountAttrFlags::MOUNT_ATTR_RDONLY).unwrap();
        assert_eq!(path_in(&mounted, "").read_dir().unwrap().count(), 3);
    }
}
