//! The mount of an overlay: by descriptor, or as older kernels want it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags};

use super::mounts::bind;

/// `fsconfig` takes strings of at most this many bytes.
const MAX_VALUE: usize = 255;

/// Options of every overlay: what is written lies complete in the upper
/// directory, since layers are packed from there. Set to `off` whatever the
/// host's defaults are.
const OFF: [&str; 3] = ["index", "metacopy", "redirect_dir"];

/// An overlay, not yet attached anywhere.
pub(super) fn detached(
    lower: &[PathBuf],
    upper: Option<&(PathBuf, PathBuf)>,
) -> rustix::io::Result<OwnedFd> {
    // The kernel wants two layers or a writable one: a single one is a bind.
    if let ([only], None) = (lower, upper) {
        let tree = bind(only, false)?;
        let change = gantry_sys::SetMountAttr {
            set: gantry_sys::MountAttr::RDONLY,
            ..Default::default()
        };
        gantry_sys::mount_setattr(&tree, Path::new(""), change)?;
        return Ok(tree);
    }
    // "lowerdir+" came with 6.5; older kernels take every key, and complain in
    // their log when they mount.
    if gantry_sys::kernel_at_least(6, 5) {
        by_descriptor(lower, upper)
    } else {
        by_options(lower, upper)
    }
}

fn by_descriptor(
    lower: &[PathBuf],
    upper: Option<&(PathBuf, PathBuf)>,
) -> rustix::io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let mut handles = Vec::new();
    let mut set = |key: &str, path: &Path| {
        let value = short(path, &mut handles)?;
        rustix::mount::fsconfig_set_string(&fs, key, value)
    };
    for layer in lower {
        set("lowerdir+", layer)?;
    }
    if let Some((upper, work)) = upper {
        set("upperdir", upper)?;
        set("workdir", work)?;
    }
    for key in OFF {
        match rustix::mount::fsconfig_set_string(&fs, key, "off") {
            // This kernel cannot do it in the first place.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    rustix::mount::fsconfig_set_string(&fs, "source", "overlay")?;
    rustix::mount::fsconfig_create(&fs)?;
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// The path, or a short name of it if it is too long for one option. The handle
/// must live until the mount is made.
fn short(path: &Path, handles: &mut Vec<OwnedFd>) -> rustix::io::Result<PathBuf> {
    if path.as_os_str().len() <= MAX_VALUE {
        return Ok(path.to_path_buf());
    }
    handle(path, handles)
}

fn handle(path: &Path, handles: &mut Vec<OwnedFd>) -> rustix::io::Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    let name = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    handles.push(fd);
    Ok(name)
}

/// mount(2) with all layers in one string of at most a page: layers by their
/// descriptors' names, so that about 200 fit. Made on top of the first layer
/// (which only this mount namespace sees), then taken from there.
fn by_options(
    lower: &[PathBuf],
    upper: Option<&(PathBuf, PathBuf)>,
) -> rustix::io::Result<OwnedFd> {
    let mut handles = Vec::new();
    let mut options = b"lowerdir=".to_vec();
    for (index, layer) in lower.iter().enumerate() {
        if index > 0 {
            options.push(b':');
        }
        options.extend(handle(layer, &mut handles)?.as_os_str().as_bytes());
    }
    if let Some((upper, work)) = upper {
        for (key, path) in [(&b",upperdir="[..], upper), (b",workdir=", work)] {
            options.extend(key);
            options.extend(handle(path, &mut handles)?.as_os_str().as_bytes());
        }
    }
    for key in OFF {
        options.extend(format!(",{key}=off").as_bytes());
    }
    let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
    let target = lower.first().ok_or(Errno::INVAL)?;
    rustix::mount::mount(
        "overlay",
        target,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )?;
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::OPEN_TREE_CLONE;
    let tree = rustix::mount::open_tree(CWD, target, flags)?;
    gantry_sys::umount_tree(target)?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use rustix::mount::MountPropagationFlags;

    use super::*;

    /// Both ways to mount, in a mount namespace of this thread.
    #[test]
    fn both_ways_show_the_same() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        // Longer than an option of fsconfig may be.
        let base = dir.path().join("x".repeat(200)).join("y".repeat(200));
        let path = |name: &str| base.join(name);
        for name in ["a", "b", "upper", "work"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::write(path("a/file"), "top").unwrap();
        std::fs::write(path("b/file"), "bottom").unwrap();
        let lower = [path("a"), path("b")];
        let upper = (path("upper"), path("work"));
        gantry_sys::unshare(gantry_sys::CloneFlags::NEWNS).unwrap();
        let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", flags).unwrap();
        for mount in [by_descriptor, by_options] {
            for upper in [None, Some(&upper)] {
                let tree = mount(&lower, upper).unwrap();
                let file = rustix::fs::openat(&tree, "file", OFlags::RDONLY, Mode::empty());
                let text = std::io::read_to_string(std::fs::File::from(file.unwrap()));
                assert_eq!(text.unwrap(), "top");
            }
        }
    }
}
