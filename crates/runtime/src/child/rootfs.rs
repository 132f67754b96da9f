//! The root file system: attached, and at the end made the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_sys::{CloneFlags, MountAttr, RootDir, SetMountAttr};
use gantry_types::Mount;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags};
use rustix::thread::LinkNameSpaceType;

use super::{at, mounts, overlay, scaffold, sources};
use crate::channel::Child;
use crate::error::{StartError, Step};
use crate::launch::{Launch, Rootfs, Scaffold};
use crate::mount_options::{Propagation, propagation};

/// Cuts our copy of the host's mounts off from the host's.
pub(super) fn isolate(launch: &Launch<'_>) -> Result<(), StartError> {
    let wanted = wanted_propagation(launch)?;
    let shared = wanted.is_some_and(|p| p.kind == libc::MS_SHARED);
    // Copies of what is unbindable cannot be made, and we need some.
    let bindable = wanted.filter(|wanted| wanted.kind != libc::MS_UNBINDABLE);
    let first = bindable.unwrap_or(Propagation {
        kind: libc::MS_SLAVE,
        recursive: true,
    });
    change_propagation(first)?;
    if shared {
        // What we attach at `/` must not appear at the host's.
        change_propagation(Propagation {
            kind: libc::MS_PRIVATE,
            recursive: false,
        })?;
    }
    Ok(())
}

/// Attaches the root file system and returns its handle; `/` stays what it was.
pub(super) fn attach(tree: OwnedFd) -> Result<RootDir, StartError> {
    // Over `/`: no other directory is needed, and pivot_root takes it from there.
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", CWD, "/", flags).map_err(at(Step::Rootfs, "/"))?;
    Ok(RootDir::from(tree))
}

/// Goes over to a copy of an empty mount namespace, as soon as everything of the
/// host's is at hand: there is nothing to be got rid of later.
pub(super) fn leave_host(
    tree: &OwnedFd,
    empty: BorrowedFd<'_>,
    channel: &Child,
) -> Result<(), StartError> {
    // It may be a bind, which must not be the host's peer.
    sources::follow(tree).map_err(at(Step::Propagation, "/"))?;
    let handles = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handles = rustix::fs::open("/proc/self/ns", handles, Mode::empty())
        .map_err(at(Step::Clone, "mount"))?;
    let kind = Some(LinkNameSpaceType::Mount);
    rustix::thread::move_into_link_name_space(empty, kind)
        .map_err(at(Step::JoinNamespace, "mount"))?;
    gantry_sys::unshare(CloneFlags::NEWNS).map_err(at(Step::Clone, "mount"))?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = rustix::fs::openat(handles, "mnt", flags, Mode::empty())
        .map_err(at(Step::Clone, "mount"))?;
    channel.mounts(own.as_fd())
}

fn wanted_propagation(launch: &Launch<'_>) -> Result<Option<Propagation>, StartError> {
    let linux = launch.spec.linux.as_ref();
    let Some(name) = linux.and_then(|l| l.rootfs_propagation.as_deref()) else {
        return Ok(None);
    };
    if name.is_empty() {
        return Ok(None);
    }
    let found = propagation(name);
    let unknown = || StartError::other(Step::Spec, "linux.rootfsPropagation", name);
    found.map(Some).ok_or_else(unknown)
}

fn change_propagation(change: Propagation) -> Result<(), StartError> {
    let mut flags = MountPropagationFlags::from_bits_retain(change.kind as u32);
    if change.recursive {
        flags |= MountPropagationFlags::REC;
    }
    rustix::mount::mount_change("/", flags).map_err(at(Step::Propagation, "/"))
}

/// The root file system, attached nowhere, and whether it has its scaffold already.
pub(super) fn detached(launch: &Launch<'_>) -> Result<(OwnedFd, bool), StartError> {
    match launch.rootfs {
        Rootfs::Path(source) => {
            let tree = mounts::bind(source, true);
            let path = source.to_string_lossy();
            Ok((tree.map_err(at(Step::Rootfs, path))?, false))
        }
        Rootfs::Mount(mount) => {
            detached_root(mount, launch.id, launch.scaffold, launch.scaffold_layer)
        }
    }
}

/// The root file system that a start would make of `rootfs`, attached nowhere; and
/// whether it has its scaffold already. An overlay on a kernel before 6.5 is, for a
/// moment, attached in the caller's mount namespace.
///
/// # Errors
/// When a layer is missing, or the kernel refuses the mount.
pub fn detached_root(
    rootfs: &Mount,
    id: &str,
    scaffold: &[Scaffold],
    layer: Option<&Path>,
) -> Result<(OwnedFd, bool), StartError> {
    match rootfs {
        Mount::Bind { source, read_only } => {
            let path = source.to_string_lossy();
            let tree = mounts::bind(source, true).map_err(at(Step::Rootfs, path))?;
            if *read_only {
                make_read_only(&tree)?;
            }
            Ok((tree, false))
        }
        Mount::Overlay { lower, upper } => {
            let common = layer.and_then(|layer| scaffold::layer(layer, id, lower, scaffold));
            let scaffolded = common.is_some();
            let lower: Vec<PathBuf> = common.into_iter().chain(lower.iter().cloned()).collect();
            let tree = overlaid(&lower, upper.as_ref())?;
            Ok((tree, scaffolded))
        }
    }
}

fn overlaid(lower: &[PathBuf], upper: Option<&(PathBuf, PathBuf)>) -> Result<OwnedFd, StartError> {
    let about = upper.map(|(upper, _)| upper).or(lower.first());
    let about = about.map(|path| path.to_string_lossy().into_owned());
    overlay::detached(lower, upper).map_err(at(Step::Rootfs, about.unwrap_or_default()))
}

fn make_read_only(tree: impl AsFd) -> Result<(), StartError> {
    let change = SetMountAttr {
        set: MountAttr::RDONLY,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(tree, Path::new(""), change).map_err(at(Step::Rootfs, "/"))
}

/// Makes it the root and lets the host's go.
pub(super) fn finish(launch: &Launch<'_>, root: RootDir, alone: bool) -> Result<(), StartError> {
    if launch.spec.root.as_ref().is_some_and(|root| root.readonly) {
        make_read_only(&root)?;
    }
    rustix::process::fchdir(&root).map_err(at(Step::Pivot, "/"))?;
    drop(root);
    // With nothing but an empty file system below, that one may stay.
    if launch.no_pivot || alone {
        rustix::process::chroot(".").map_err(at(Step::Pivot, "/"))?;
    } else {
        pivot()?;
    }
    rustix::process::chdir("/").map_err(at(Step::Pivot, "/"))?;
    match wanted_propagation(launch)? {
        Some(change) => change_propagation(change),
        None => Ok(()),
    }
}

/// `pivot_root(".", ".")`: the old root lies over the new one, and is taken off.
fn pivot() -> Result<(), StartError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = rustix::fs::open("/", flags, Mode::empty()).map_err(at(Step::Pivot, "/"))?;
    rustix::process::pivot_root(".", ".").map_err(|errno| {
        let error = StartError::new(Step::Pivot, errno, "/");
        match errno {
            Errno::INVAL => error.with_detail("is / an initial ramdisk?"),
            _ => error,
        }
    })?;
    rustix::process::fchdir(&old).map_err(at(Step::Pivot, "old root"))?;
    // Taking it off must not be seen by the host, whatever propagation was asked for.
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change(".", flags).map_err(at(Step::Pivot, "old root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(at(Step::Pivot, "old root"))
}
