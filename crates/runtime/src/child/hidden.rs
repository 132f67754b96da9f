//! Paths that are hidden, and paths that cannot be written.
//!
//! What lies below `/proc` and `/sys` is looked up below the mount that was made
//! there, not below the root: a container that shares the root file system could
//! put another directory in that place meanwhile (CVE-2025-31133, -52881), and the
//! real one would stay open to be written.

use std::os::fd::OwnedFd;
use std::path::Path;

use gantry_oci::Spec;
use gantry_sys::{MountAttr, RootDir, SetMountAttr};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::mounts::{attach, bind, bind_fd, new_filesystem};
use super::rooted;
use super::system_mounts::SystemMounts;
use crate::error::{StartError, Step};

/// Applies the spec's `readonlyPaths` and `maskedPaths`; what is missing is
/// passed over.
pub(super) fn apply(root: &RootDir, system: &SystemMounts, spec: &Spec) -> Result<(), StartError> {
    let Some(linux) = &spec.linux else {
        return Ok(());
    };
    for path in &linux.readonly_paths {
        read_only(root, system, path)?;
    }
    let mut covers = Covers::default();
    for path in &linux.masked_paths {
        mask(root, system, path, &mut covers)?;
    }
    Ok(())
}

/// The target, unless there is none.
fn target(
    root: &RootDir,
    system: &SystemMounts,
    step: Step,
    path: &str,
) -> Result<Option<OwnedFd>, StartError> {
    let (base, rest) = system.holder(path).unwrap_or((root, Path::new(path)));
    match base.open_path(rest) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(rooted(step, path)(error)),
    }
}

fn read_only(root: &RootDir, system: &SystemMounts, path: &str) -> Result<(), StartError> {
    let step = Step::ReadonlyPath;
    let Some(target) = target(root, system, step, path)? else {
        return Ok(());
    };
    let change = SetMountAttr {
        set: MountAttr::RDONLY,
        recursive: true,
        ..SetMountAttr::default()
    };
    let tree = bind_fd(&target, true);
    tree.and_then(|tree| {
        gantry_sys::mount_setattr(&tree, Path::new(""), change)?;
        attach(&tree, &target)
    })
    .map_err(|errno| StartError::new(step, errno, path))
}

/// What is put over files and over directories; each made once, then copied.
#[derive(Default)]
struct Covers {
    null: Option<OwnedFd>,
    empty: Option<OwnedFd>,
}

fn mask(
    root: &RootDir,
    system: &SystemMounts,
    path: &str,
    covers: &mut Covers,
) -> Result<(), StartError> {
    let step = Step::MaskedPath;
    let Some(target) = target(root, system, step, path)? else {
        return Ok(());
    };
    let fail = |errno| StartError::new(step, errno, path);
    let stat = rustix::fs::fstat(&target).map_err(fail)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return cover_directory(&target, covers).map_err(fail);
    }
    if covers.null.is_none() {
        covers.null = Some(null_device(root).map_err(fail)?);
    }
    let Some(null) = &covers.null else {
        return Err(fail(Errno::NOENT));
    };
    bind_fd(null, false)
        .and_then(|tree| attach(tree, &target))
        .map_err(fail)
}

/// The container's `/dev/null` if it is one, else the host's.
fn null_device(root: &RootDir) -> rustix::io::Result<OwnedFd> {
    if let Ok(fd) = root.open_path("dev/null") {
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == rustix::fs::makedev(1, 3)
        {
            return Ok(fd);
        }
    }
    bind(Path::new("/dev/null"), false)
}

fn cover_directory(target: &OwnedFd, covers: &mut Covers) -> rustix::io::Result<()> {
    if let Some(empty) = &covers.empty {
        return attach(bind_fd(empty, false)?, target);
    }
    let text = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let options = [text("size", "4k"), text("nr_inodes", "1")];
    let source = Some(Path::new("tmpfs"));
    let tree = new_filesystem("tmpfs", source, &options, MountAttr::RDONLY).map_err(|(e, _)| e)?;
    attach(&tree, target)?;
    covers.empty = Some(tree);
    Ok(())
}
