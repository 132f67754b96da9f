//! What a spec's mounts are made of that only the host's view has: the sources
//! of binds, and the cgroup's directories. Taken before that view is left.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_oci::{Mount, Spec};
use gantry_sys::{CloneFlags, SetMountAttr};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags};
use rustix::thread::LinkNameSpaceType;

use super::cgroup_mount::{self, CgroupView};
use super::{mounts, overlay};
use crate::error::{StartError, Step};
use crate::idmap::Prepared;
use crate::mount_options::{Bind, MountOptions};
use crate::namespaces::Namespaces;
use crate::tree;

/// A mount that is made, but for its place.
pub(super) enum Source {
    Bind(OwnedFd),
    Cgroup(cgroup_mount::View),
}

/// By the mount's index in the spec.
pub(super) type Sources = BTreeMap<usize, Source>;

/// Takes them all. `foreign`: from a mount namespace that stays another's, whose
/// mounts may see ours, but not the other way round.
pub(super) fn take(
    spec: &Spec,
    namespaces: &Namespaces<'_>,
    idmapped: &Prepared,
    foreign: bool,
) -> Result<Sources, StartError> {
    let mut sources = take_binds(spec, idmapped, foreign)?;
    take_cgroups(spec, namespaces, &mut sources)?;
    Ok(sources)
}

/// Takes those of the binds.
pub(super) fn take_binds(
    spec: &Spec,
    idmapped: &Prepared,
    foreign: bool,
) -> Result<Sources, StartError> {
    if foreign && needs_copy(spec) {
        gantry_sys::unshare(CloneFlags::NEWNS)
            .map_err(|errno| StartError::new(Step::Clone, errno, "mount"))?;
    }
    let mut sources = Sources::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let options = MountOptions::parse(&mount.options);
        let kind = mount.kind.as_deref().unwrap_or_default();
        if !options.remount && (options.bind.is_some() || kind == "bind") {
            let made = idmapped.get(&index);
            let source = Source::Bind(bind(mount, &options, made, foreign)?);
            sources.insert(index, source);
        } else if let Some(layers) = layers(kind, &options) {
            let source = Source::Bind(joined(mount, &layers, &options, foreign)?);
            sources.insert(index, source);
        } else if options.made {
            let source = Source::Bind(made(mount, &options, foreign)?);
            sources.insert(index, source);
        }
    }
    Ok(sources)
}

/// Takes the views of the cgroup: as who will see them.
pub(super) fn take_cgroups(
    spec: &Spec,
    namespaces: &Namespaces<'_>,
    sources: &mut Sources,
) -> Result<(), StartError> {
    for (index, mount) in spec.mounts.iter().enumerate() {
        let kind = mount.kind.as_deref().unwrap_or_default();
        let options = MountOptions::parse(&mount.options);
        let cgroup = kind == "cgroup" || kind == "cgroup2";
        if !cgroup || options.remount || options.bind.is_some() {
            continue;
        }
        let view = CgroupView {
            attributes: options.set,
            private: namespaces.new_cgroup,
            unified_only: kind == "cgroup2",
        };
        let taken = cgroup_mount::take(&view);
        let taken = taken.map_err(|(errno, words)| fail(mount, errno).with_detail(words))?;
        sources.insert(index, Source::Cgroup(taken));
    }
    Ok(())
}

/// Whether a bind would take along the file of a mount namespace: the kernel
/// lets no namespace hold an older one. In a copy of our namespace those are
/// left out, and the container sees what is below them, as it does elsewhere.
fn needs_copy(spec: &Spec) -> bool {
    let mut held: Option<Vec<PathBuf>> = None;
    spec.mounts.iter().any(|mount| {
        let recursive = mount.options.iter().any(|option| option == "rbind");
        let source = mount.source.as_deref().filter(|_| recursive);
        let Some(source) = source.filter(|source| source.is_dir()) else {
            return false;
        };
        let held = held.get_or_insert_with(|| {
            let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            namespace_files(&text)
        });
        !held.is_empty()
            && source
                .canonicalize()
                .is_ok_and(|source| held.iter().any(|file| file.starts_with(&source)))
    })
}

/// Where files of mount namespaces are mounted.
fn namespace_files(mountinfo: &str) -> Vec<PathBuf> {
    let file = |line: &str| {
        let mut fields = line.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let place = place.replace("\\040", " ");
        root.starts_with("mnt:[").then(|| PathBuf::from(place))
    };
    mountinfo.lines().filter_map(file).collect()
}

fn bind(
    mount: &Mount,
    options: &MountOptions,
    idmapped: Option<&OwnedFd>,
    foreign: bool,
) -> Result<OwnedFd, StartError> {
    if let Some(tree) = idmapped {
        return tree.try_clone().map_err(|_| fail(mount, Errno::MFILE));
    }
    let source = mount.source.as_deref();
    let source = source.ok_or_else(|| fail(mount, Errno::INVAL))?;
    let recursive = options.bind == Some(Bind::Recursive);
    let tree = match (elsewhere(source), &options.subpath) {
        (Some((namespace, path)), _) => bind_elsewhere(&namespace, &path, recursive),
        (None, part) => tree::copy(source, part.as_deref(), recursive),
    };
    let tree = tree.map_err(|e| fail(mount, e))?;
    // Shared: it is to stay the original's peer.
    let mut wanted = options.propagation.iter();
    if foreign && !wanted.any(|p| p.recursive || p.kind == libc::MS_SHARED) {
        follow(&tree).map_err(|e| fail(mount, e))?;
    }
    Ok(tree)
}

/// The directories of an overlay whose layers are named one by one: there may be
/// more of them than fit into one option, and they are the host's.
fn layers(kind: &str, options: &MountOptions) -> Option<Layers> {
    let values = |wanted: &str| {
        let all = options.data.iter().filter(|(key, _)| key == wanted);
        let all = all.filter_map(|(_, value)| value.as_deref());
        all.map(PathBuf::from).collect::<Vec<_>>()
    };
    let lower = values("lowerdir+");
    let upper = values("upperdir").pop().zip(values("workdir").pop());
    (kind == "overlay" && !lower.is_empty()).then_some(Layers { lower, upper })
}

struct Layers {
    lower: Vec<PathBuf>,
    upper: Option<(PathBuf, PathBuf)>,
}

fn joined(
    mount: &Mount,
    layers: &Layers,
    options: &MountOptions,
    foreign: bool,
) -> Result<OwnedFd, StartError> {
    let tree = overlay::detached(&layers.lower, layers.upper.as_ref());
    let tree = tree.map_err(|e| fail(mount, e))?;
    match &options.subpath {
        None => Ok(tree),
        Some(part) => part_of_new(&tree, part, foreign).map_err(|e| fail(mount, e)),
    }
}

/// A mount that another process has made and keeps open.
fn made(mount: &Mount, options: &MountOptions, foreign: bool) -> Result<OwnedFd, StartError> {
    let source = mount.source.as_deref().unwrap_or(Path::new(""));
    let handle = OFlags::PATH | OFlags::CLOEXEC;
    let tree = rustix::fs::open(source, handle, Mode::empty()).map_err(|e| fail(mount, e))?;
    match &options.subpath {
        None => Ok(tree),
        Some(part) => part_of_new(&tree, part, foreign).map_err(|e| fail(mount, e)),
    }
}

/// A part of a mount that is attached nowhere. The kernel makes copies of what is
/// attached only: so it is, for a moment, over the `/` of a mount namespace that
/// is not the host's.
fn part_of_new(tree: &OwnedFd, part: &str, foreign: bool) -> rustix::io::Result<OwnedFd> {
    if foreign {
        gantry_sys::unshare(CloneFlags::NEWNS)?;
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE)?;
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", CWD, "/", flags)?;
    let whole = rustix::io::fcntl_dupfd_cloexec(tree, 0)?;
    let copy = tree::copy_part(whole, part, false);
    let handle = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let here = rustix::fs::open(".", handle, Mode::empty())?;
    rustix::process::fchdir(tree)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::fchdir(&here)?;
    copy
}

/// A path that leads through another process's root, as that process's mount
/// namespace and the path in there.
fn elsewhere(source: &Path) -> Option<(PathBuf, PathBuf)> {
    let text = source.to_str()?.strip_prefix("/proc/")?;
    let (pid, rest) = text.split_once('/')?;
    let path = rest.strip_prefix("root/")?;
    let digits = pid.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| {
        let namespace = format!("/proc/{pid}/ns/mnt");
        (namespace.into(), Path::new("/").join(path))
    })
}

/// A copy of a mount in another mount namespace: only in there can it be made.
fn bind_elsewhere(namespace: &Path, path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let open = |path: &Path| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
    };
    let enter = |namespace: &OwnedFd| {
        let kind = Some(LinkNameSpaceType::Mount);
        rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)
    };
    let (own, other) = (open(Path::new("/proc/self/ns/mnt"))?, open(namespace)?);
    // Entering a namespace changes root and working directory as well.
    let (root, cwd) = (open(Path::new("/"))?, open(Path::new("."))?);
    enter(&other)?;
    let tree = mounts::bind(path, recursive);
    enter(&own)?;
    rustix::process::fchdir(&root)?;
    rustix::process::chroot(".")?;
    rustix::process::fchdir(&cwd)?;
    tree
}

/// Lets a copy see what happens to its original, but not the other way round.
pub(super) fn follow(tree: &OwnedFd) -> rustix::io::Result<()> {
    let change = SetMountAttr {
        propagation: libc::MS_SLAVE,
        recursive: true,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(tree, Path::new(""), change)
}

fn fail(mount: &Mount, errno: Errno) -> StartError {
    let source = mount.source.as_deref().unwrap_or(Path::new(""));
    StartError::new(Step::Mount, errno, mount.destination.to_string_lossy())
        .with_source(source.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_mount_namespaces_are_found() {
        let text = "62 61 254:0 / / rw - ext4 /dev/vda rw\n\
            70 62 0:4 mnt:[4026532] /run/my\\040ns/x rw shared:9 - nsfs nsfs rw\n\
            71 62 0:4 net:[4026533] /run/netns/y rw - nsfs nsfs rw\n";
        assert_eq!(namespace_files(text), [Path::new("/run/my ns/x")]);
    }
}
