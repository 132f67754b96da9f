//! A running container: its own mounts, by the root of its first process.

use std::os::fd::{AsFd, OwnedFd};

use gantry_shim::client::ShimConnection;
use gantry_sys::{CloneFlags, RootDir};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use rustix::thread::LinkNameSpaceType;

use super::{Seen, View};
use crate::error::{Error, Result};

/// The files of the container whose first process is `pid`; `None` when that has
/// ended.
pub(super) fn view(link: &ShimConnection, pid: i32, seen: Seen) -> Result<Option<View>> {
    let Some((root, mounts)) = opened(link, pid)? else {
        return Ok(None);
    };
    let root = match seen {
        Seen::Everything if is_mount(&root) => Ok(root),
        // Servers like to lock themselves up in a directory: that is their root, but
        // not the container's.
        Seen::Everything => tree_in(mounts, "/", OpenTreeFlags::empty()),
        Seen::OwnFiles => tree_in(mounts, "/", OpenTreeFlags::OPEN_TREE_CLONE),
    };
    let root = root.map_err(|errno| failed("look at the mounts of", pid, errno))?;
    Ok(Some(View {
        root: RootDir::from(root),
        running: true,
        ids: None,
        _namespace: None,
    }))
}

/// A copy of the mount at a path of the container whose first process is `pid`, with
/// what is mounted below it; `None` when that has ended.
pub(in super::super) fn mount_in(
    link: &ShimConnection,
    pid: i32,
    path: &str,
) -> Result<Option<OwnedFd>> {
    let Some((_, mounts)) = opened(link, pid)? else {
        return Ok(None);
    };
    let how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
    let tree = tree_in(mounts, path, how);
    Ok(Some(
        tree.map_err(|errno| failed("copy a mount of", pid, errno))?,
    ))
}

/// The root and the mount namespace of the process `pid`; `None` when it has ended.
fn opened(link: &ShimConnection, pid: i32) -> Result<Option<(OwnedFd, OwnedFd)>> {
    let opened = open(pid, "root", OFlags::PATH | OFlags::DIRECTORY).and_then(|root| {
        let mounts = open(pid, "ns/mnt", OFlags::RDONLY)?;
        Ok((root, mounts))
    });
    let opened = match opened {
        Ok(opened) => opened,
        // It has ended, and whether it was waited for does not matter.
        Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS) => return Ok(None),
        Err(errno) => return Err(failed("open the root of", pid, errno)),
    };
    // The shim has waited for its child if that has ended: a number that is still
    // its own was nobody else's when the root was opened.
    Ok(match link.status() {
        Ok(status) if i32::try_from(status.pid) == Ok(pid) => Some(opened),
        Ok(_) | Err(_) => None,
    })
}

/// Whether a handle is the topmost directory of a mount.
fn is_mount(root: &OwnedFd) -> bool {
    let stat = rustix::fs::statx(root, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
    stat.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn open(pid: i32, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/{pid}/{name}");
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
}

fn failed(operation: &'static str, pid: i32, errno: Errno) -> Error {
    Error::io(operation, format!("process {pid}"), errno.into())
}

/// What is mounted at a path of a mount namespace, or a copy of it. Only a member may
/// have it: a thread that resolves no other name there, and ends.
fn tree_in(mounts: OwnedFd, path: &str, how: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    let take = move || {
        gantry_sys::unshare(CloneFlags::FS)?;
        let kind = Some(LinkNameSpaceType::Mount);
        rustix::thread::move_into_link_name_space(mounts.as_fd(), kind)?;
        rustix::mount::open_tree(CWD, path, how | OpenTreeFlags::OPEN_TREE_CLOEXEC)
    };
    super::at_rest::on_a_thread(take)?
}
