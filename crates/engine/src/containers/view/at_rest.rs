//! A container at rest: its snapshot, and upon it what its next start would mount
//! there, as far as that has files of its own (binds, volumes, the files of its
//! names). Nothing of it is seen by the host or by any other process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_sys::{CloneFlags, MountAttr, RootDir, SetMountAttr};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::thread::LinkNameSpaceType;

use super::super::container::Container;
use super::super::mounts::Mounted;
use super::super::{Inner, spec};
use super::{Seen, View};
use crate::error::{Error, Result};

/// Modes of what is made to be mounted over, as at a start.
const MODE: Mode = Mode::from_raw_mode(0o755);
/// What such threads have on it is small.
const STACK: usize = 1 << 20;

/// Something of the host that the container has in a place.
struct Upon {
    source: PathBuf,
    /// A part of the source; `..` and links stay in it.
    subpath: String,
    target: PathBuf,
    read_only: bool,
    recursive: bool,
}

/// The files of a container that does not run.
pub(super) fn view(inner: &Inner, container: &Container, seen: Seen) -> Result<View> {
    let record = container.record();
    let mut upon = Vec::new();
    if seen == Seen::Everything {
        for point in &record.mounts {
            point.make_missing_source()?;
        }
        upon = wanted(inner, container);
    }
    let rootfs = inner.snapshots.mounts(container.id().as_str())?;
    let id = format!("view-{}", container.id());
    let empty = inner.shims.empty_mounts();
    let make = || {
        // Older kernels attach an overlay where it is made.
        let attached = !gantry_sys::kernel_at_least(6, 5);
        if attached {
            leave_host().map_err(|errno| failed("leave the host's mounts for", "/", errno))?;
        }
        let layer = spec::scaffold_layer(&rootfs);
        let (tree, _) =
            gantry_runtime::detached_root(&rootfs, &id, &spec::scaffold(), layer.as_deref())
                .map_err(|error| Error::Failed(format!("mounting a container's files: {error}")))?;
        if upon.is_empty() {
            return Ok(View {
                root: RootDir::from(tree),
                running: false,
                ids: None,
                _namespace: None,
            });
        }
        assemble(tree, &upon, empty)
    };
    on_a_thread(make).map_err(|errno| failed("start a thread for", "/", errno))?
}

/// What has a place in the container, what is nearer to the root first.
fn wanted(inner: &Inner, container: &Container) -> Vec<Upon> {
    let record = container.record();
    let points = record.mounts.iter();
    let mut upon: Vec<Upon> = points
        .filter(|point| !point.source().is_empty())
        .map(|point| Upon {
            source: PathBuf::from(point.source()),
            subpath: match &point.what {
                Mounted::Volume(volume) => volume.subpath.clone(),
                _ => String::new(),
            },
            target: PathBuf::from(&point.target),
            read_only: point.read_only,
            recursive: matches!(&point.what, Mounted::Bind(bind) if !bind.non_recursive),
        })
        .collect();
    if container.state().has_files {
        let dir = record.dir(&inner.settings.data_root);
        for (name, target) in spec::NAME_FILES {
            let (source, target) = (dir.join(name), PathBuf::from(target));
            if source.is_file() && !upon.iter().any(|other| other.target == target) {
                upon.push(Upon {
                    source,
                    subpath: String::new(),
                    target,
                    read_only: record.host_config.readonly_rootfs,
                    recursive: false,
                });
            }
        }
    }
    gantry_types::sort::by_key(&mut upon, |mount| mount.target.components().count());
    upon
}

/// Attaches the root and all upon it in a namespace of its own.
fn assemble(tree: OwnedFd, upon: &[Upon], empty: Option<BorrowedFd<'_>>) -> Result<View> {
    // The sources are the host's: they are taken before it is left.
    let sources = upon
        .iter()
        .map(|mount| source(mount).map_err(|errno| failed("open", &mount.source, errno)))
        .collect::<Result<Vec<_>>>()?;
    let namespace = enter(empty).map_err(|errno| failed("make a namespace for", "/", errno))?;
    let attach = |from: &OwnedFd, to: BorrowedFd<'_>| {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(from, "", to, "", flags)
    };
    rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .and_then(|place| attach(&tree, place.as_fd()))
        .map_err(|errno| failed("mount", "/", errno))?;
    let root = RootDir::from(tree);
    for (mount, source) in upon.iter().zip(&sources) {
        let target = place(&root, mount, source)
            .map_err(|error| failed("make", &mount.target, error.errno))?;
        attach(source, target.as_fd()).map_err(|errno| failed("mount", &mount.target, errno))?;
    }
    Ok(View {
        root,
        running: false,
        ids: None,
        _namespace: Some(namespace),
    })
}

fn source(mount: &Upon) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if mount.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = match mount.subpath.as_str() {
        "" => rustix::mount::open_tree(CWD, &mount.source, flags)?,
        subpath => {
            let part = RootDir::open(&mount.source)
                .and_then(|source| source.open_path(subpath))
                .map_err(|error| error.errno)?;
            rustix::mount::open_tree(&part, "", flags | OpenTreeFlags::AT_EMPTY_PATH)?
        }
    };
    let change = SetMountAttr {
        set: match mount.read_only {
            true => MountAttr::RDONLY,
            false => MountAttr::default(),
        },
        // What is mounted here, the host must not see.
        propagation: MountPropagationFlags::PRIVATE.bits().into(),
        recursive: mount.recursive,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(&tree, Path::new(""), change)?;
    Ok(tree)
}

/// Where something is mounted, made if it is missing.
fn place(root: &RootDir, mount: &Upon, source: &OwnedFd) -> gantry_sys::Result<OwnedFd> {
    let stat = rustix::fs::fstat(source)
        .map_err(|errno| gantry_sys::Error::new("stat", &mount.source, errno))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => root.mkdir_all(&mount.target, MODE),
        _ => root.create_file(&mount.target, MODE),
    }
}

/// Goes over to a new mount namespace; the answer keeps it. `empty` is what it is a
/// copy of, so that nothing of the host is held; without, it is a copy of the host's.
fn enter(empty: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Errno> {
    let Some(empty) = empty else {
        leave_host()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        return rustix::fs::open("/proc/thread-self/ns/mnt", flags, Mode::empty());
    };
    // There is no /proc where we go.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handles = rustix::fs::open("/proc/thread-self/ns", flags, Mode::empty())?;
    gantry_sys::unshare(CloneFlags::FS)?;
    rustix::thread::move_into_link_name_space(empty, Some(LinkNameSpaceType::Mount))?;
    gantry_sys::unshare(CloneFlags::NEWNS)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(handles, "mnt", flags, Mode::empty())
}

/// A copy of the host's mounts of which the host sees nothing.
fn leave_host() -> Result<(), Errno> {
    gantry_sys::unshare(CloneFlags::NEWNS)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)
}

fn failed(operation: &'static str, path: impl AsRef<Path>, errno: Errno) -> Error {
    Error::io(operation, path, errno.into())
}

/// Runs `work` on a thread that ends afterwards, so that it may leave the
/// namespaces of the others.
pub(in super::super) fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Errno> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("view".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        thread.join().map_err(|_| Errno::AGAIN)
    })
}
