//! Binds that only who is privileged outside of the container can make: those that
//! show other owners than their source has, and all of a container whose root is
//! another user, who may have no way to the source.
//!
//! The parent makes them, before the clone, and the child attaches them where they
//! belong. A mapping is that of a user namespace which lives for this alone.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use gantry_oci::{LinuxIdMapping, Mount, Spec};
use gantry_sys::{CloneFlags, CloneRequest, Forked, MountAttr, SetMountAttr};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::Pid;

use crate::error::{StartError, Step};
use crate::launch::fork;
use crate::mount_options::{Bind, MountOptions};
use crate::namespaces::{open, write_map};
use crate::tree;

/// Detached mounts by their index in the spec.
pub(crate) type Prepared = BTreeMap<usize, OwnedFd>;

/// Makes the spec's binds with mappings; by `user` those that bring none. All others
/// too, if the one who would make them is `another` user.
pub(crate) fn prepare(
    spec: &Spec,
    user: Option<BorrowedFd<'_>>,
    another: bool,
) -> Result<Prepared, StartError> {
    let mut prepared = Prepared::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let plain = || plain_bind(mount).filter(|_| another);
        if let Some(tree) = of_mount(spec, mount, user)?.or_else(plain) {
            prepared.insert(index, tree);
        }
    }
    Ok(prepared)
}

/// A bind without a mapping. What cannot be made here the child tries, and says why
/// it fails.
fn plain_bind(mount: &Mount) -> Option<OwnedFd> {
    let options = MountOptions::parse(&mount.options);
    let bind = options.bind.filter(|_| !options.remount)?;
    let source = mount.source.as_deref()?;
    let mut wanted = options.propagation.iter();
    // Paths of processes may lead to other mount namespaces; and shared ones stay
    // their source's peers.
    if source.starts_with("/proc") || wanted.any(|wanted| wanted.kind == libc::MS_SHARED) {
        return None;
    }
    let recursive = bind == Bind::Recursive;
    let tree = tree::copy(source, options.subpath.as_deref(), recursive).ok()?;
    follow(&tree).ok()?;
    Some(tree)
}

/// A copy is the host's peer: what is mounted in the container must not appear there.
fn follow(tree: &OwnedFd) -> rustix::io::Result<()> {
    let change = SetMountAttr {
        propagation: libc::MS_SLAVE,
        recursive: true,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(tree, Path::new(""), change)
}

fn of_mount(
    spec: &Spec,
    mount: &Mount,
    user: Option<BorrowedFd<'_>>,
) -> Result<Option<OwnedFd>, StartError> {
    let asked = mount
        .options
        .iter()
        .any(|o| matches!(o.as_str(), "idmap" | "ridmap"));
    let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    if !asked && !own {
        return Ok(None);
    }
    let destination = mount.destination.to_string_lossy();
    let refuse = |text: &str| Err(StartError::other(Step::Spec, destination.as_ref(), text));
    let options = MountOptions::parse(&mount.options);
    let (Some(bind), Some(source)) = (options.bind, &mount.source) else {
        return refuse("only bind mounts can have id mappings");
    };
    let (uids, gids) = match (own, &spec.linux) {
        (true, _) => (&mount.uid_mappings, &mount.gid_mappings),
        (false, Some(linux)) => (&linux.uid_mappings, &linux.gid_mappings),
        (false, None) => return refuse("no id mappings given"),
    };
    if uids.is_empty() || gids.is_empty() {
        return refuse("id mappings must be given for users and groups");
    }
    let made = match user {
        Some(_) if !own => None,
        _ => Some(mapped_namespace(uids, gids)?),
    };
    let namespace = made.as_ref().map(AsFd::as_fd).or(user);
    let Some(namespace) = namespace else {
        return refuse("no user namespace");
    };
    let fail = |errno| StartError::new(Step::Mount, errno, destination.as_ref());
    copy(source, bind, &options, namespace)
        .map(Some)
        .map_err(|errno| fail(errno).with_source(source.to_string_lossy()))
}

fn copy(
    source: &Path,
    bind: Bind,
    options: &MountOptions,
    namespace: BorrowedFd<'_>,
) -> rustix::io::Result<OwnedFd> {
    let tree = tree::copy(source, options.subpath.as_deref(), bind == Bind::Recursive)?;
    map(&tree, namespace, options.idmap_recursive)?;
    follow(&tree)?;
    Ok(tree)
}

/// Maps a copy of a mount that is attached nowhere.
pub(crate) fn map(
    tree: &OwnedFd,
    namespace: BorrowedFd<'_>,
    everything: bool,
) -> rustix::io::Result<()> {
    let change = SetMountAttr {
        set: MountAttr::IDMAP,
        userns_fd: Some(namespace.as_raw_fd()),
        recursive: everything,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(tree, Path::new(""), change)
}

/// A user namespace with these maps, and nobody in it.
fn mapped_namespace(
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
) -> Result<OwnedFd, StartError> {
    let fail = |errno: Errno| StartError::new(Step::UserMaps, errno, "idmap");
    let (waits, holds) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(fail)?;
    let forked = fork(&CloneRequest {
        flags: CloneFlags::NEWUSER,
        cgroup: None,
    })?;
    let Forked::Parent { pid, pidfd } = forked else {
        drop(holds);
        // End of file: our parent is done, or gone.
        let _ = rustix::io::read(&waits, &mut [0]);
        gantry_sys::exit_now(0)
    };
    let made = maps_and_handle(pid, uids, gids);
    drop(holds);
    let _ = gantry_sys::wait_pidfd(pidfd.as_fd(), true);
    made
}

fn maps_and_handle(
    pid: Pid,
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
) -> Result<OwnedFd, StartError> {
    write_map(pid, "uid_map", uids)?;
    write_map(pid, "gid_map", gids)?;
    let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
    open(Path::new(&path))
}
