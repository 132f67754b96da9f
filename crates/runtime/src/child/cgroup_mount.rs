//! `/sys/fs/cgroup` inside the container.
//!
//! On the unified hierarchy: one cgroup2 mount, a copy of the host's where the
//! container has no cgroup namespace. On the old ones: a tmpfs with one directory
//! for each hierarchy of the host, in which only the container's own cgroup is
//! seen, and links for controllers mounted together.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_sys::{MountAttr, SetMountAttr};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::mounts::{attach, bind, new_filesystem};

/// How the container sees its cgroup.
pub(super) struct CgroupView {
    /// Attributes of each mount.
    pub attributes: MountAttr,
    /// Whether the process has a cgroup namespace of its own.
    pub private: bool,
    /// Whether the spec asks for cgroup2 by name.
    pub unified_only: bool,
}

/// An old hierarchy of the host.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    /// Where the host has it.
    mountpoint: PathBuf,
    /// What of the hierarchy is mounted there.
    root: String,
    /// Its controllers as in `/proc/self/cgroup`: `cpu,cpuacct`, `name=systemd`.
    options: String,
}

/// What `fstatfs` says of cgroup2.
const CGROUP2_MAGIC: rustix::fs::FsWord = 0x6367_7270;

type Failure = (Errno, String);

/// The view, made but for its place.
pub(super) struct View {
    tree: OwnedFd,
    /// Mounts in directories of `tree`, by name.
    below: Vec<(OsString, OwnedFd)>,
}

/// Makes the view from what the host has.
pub(super) fn take(view: &CgroupView) -> Result<View, Failure> {
    let mountinfo = read("/proc/self/mountinfo")?;
    let hierarchies = old_hierarchies(&mountinfo);
    let mut below = Vec::new();
    if hierarchies.is_empty() || view.unified_only {
        let tree = unified(&mountinfo, view)?;
        return Ok(View { tree, below });
    }
    let own = read("/proc/self/cgroup")?;
    let attributes = view.attributes.without(MountAttr::RDONLY);
    let mode = [("mode".to_owned(), Some("755".to_owned()))];
    let tree = new_filesystem("tmpfs", Some(Path::new("tmpfs")), &mode, attributes)?;
    for hierarchy in &hierarchies {
        let about = |errno| (errno, hierarchy.options.clone());
        let Some(name) = hierarchy.mountpoint.file_name() else {
            continue;
        };
        rustix::fs::mkdirat(&tree, name, Mode::from_raw_mode(0o755)).map_err(about)?;
        link_controllers(&tree, &name.to_string_lossy()).map_err(about)?;
        below.push((name.to_owned(), hierarchy_tree(hierarchy, &own, view)?));
    }
    Ok(View { tree, below })
}

/// cgroup2. In the host's cgroup namespace a new mount is the host's file system
/// once more, with the options of the new one: it would take the host's
/// (`nsdelegate`, `memory_recursiveprot`) away, and the kernel waits for a grace
/// period to do so, 15 ms and more. So there it is a copy of the host's mount.
fn unified(mountinfo: &str, view: &CgroupView) -> Result<OwnedFd, Failure> {
    let place = if view.private {
        None
    } else {
        unified_place(mountinfo)
    };
    // A host that hides its own, or holds on to it, leaves only the new one.
    if let Some(tree) = place.and_then(|place| copy_of(place, view).ok()) {
        return Ok(tree);
    }
    let source = Some(Path::new("cgroup"));
    new_filesystem("cgroup2", source, &[], view.attributes)
}

/// Where all of the unified hierarchy is mounted.
fn unified_place(mountinfo: &str) -> Option<&Path> {
    mountinfo.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, place) = (front.next()?, front.next()?);
        // A place with an escaped character is not worth reading.
        let plain = root == "/" && !place.contains('\\');
        (plain && back.starts_with("cgroup2 ")).then_some(Path::new(place))
    })
}

/// A copy with no more and no fewer attributes than are wished.
fn copy_of(place: &Path, view: &CgroupView) -> rustix::io::Result<OwnedFd> {
    let tree = bind(place, false)?;
    // Something else may be mounted over it.
    if rustix::fs::fstatfs(&tree)?.f_type != CGROUP2_MAGIC {
        return Err(Errno::NODEV);
    }
    let every = MountAttr::RDONLY.with(MountAttr::NOSUID);
    let every = every.with(MountAttr::NODEV).with(MountAttr::NOEXEC);
    let change = SetMountAttr {
        set: view.attributes,
        clear: every.without(view.attributes).with(MountAttr::ATIME_MASK),
        propagation: libc::MS_PRIVATE,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(&tree, Path::new(""), change)?;
    Ok(tree)
}

/// Puts the view where it belongs.
pub(super) fn put(view: &View, target: &OwnedFd) -> Result<(), Failure> {
    attach(&view.tree, target).map_err(|errno| (errno, String::new()))?;
    for (name, tree) in &view.below {
        let about = |errno| (errno, name.to_string_lossy().into_owned());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let name = Path::new(name);
        let place = rustix::fs::openat(&view.tree, name, flags, Mode::empty()).map_err(about)?;
        attach(tree, place).map_err(about)?;
    }
    Ok(())
}

fn hierarchy_tree(hierarchy: &Hierarchy, own: &str, view: &CgroupView) -> Result<OwnedFd, Failure> {
    if view.private {
        let options: Vec<_> = match hierarchy.options.strip_prefix("name=") {
            Some(name) => vec![
                ("none".to_owned(), None),
                ("name".to_owned(), Some(name.to_owned())),
            ],
            None => {
                let names = hierarchy.options.split(',');
                names.map(|name| (name.to_owned(), None)).collect()
            }
        };
        let source = Some(Path::new("cgroup"));
        return new_filesystem("cgroup", source, &options, view.attributes);
    }
    let about = |errno| (errno, hierarchy.options.clone());
    let tree = bind(&own_directory(hierarchy, own), false).map_err(about)?;
    let change = SetMountAttr {
        set: view.attributes,
        // Not the host's peer.
        propagation: libc::MS_SLAVE,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(&tree, Path::new(""), change).map_err(about)?;
    Ok(tree)
}

/// The directory of our own cgroup in a hierarchy.
fn own_directory(hierarchy: &Hierarchy, own: &str) -> PathBuf {
    let line = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        (controllers == hierarchy.options).then_some(path)
    });
    let path = line.unwrap_or("/");
    let below = match hierarchy.root.as_str() {
        "/" => path,
        root => path.strip_prefix(root).unwrap_or(""),
    };
    hierarchy.mountpoint.join(below.trim_start_matches('/'))
}

/// `cpu -> cpu,cpuacct` and so on.
fn link_controllers(tmpfs: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    if !name.contains(',') {
        return Ok(());
    }
    for controller in name.split(',') {
        match rustix::fs::symlinkat(name, tmpfs, controller) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The version 1 hierarchies in a `mountinfo`, each once.
fn old_hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((front, back)) = line.split_once(" - ") else {
            continue;
        };
        let front: Vec<&str> = front.split(' ').collect();
        let back: Vec<&str> = back.split(' ').collect();
        let ([_, _, _, root, mountpoint, ..], ["cgroup", _, options]) = (&front[..], &back[..])
        else {
            continue;
        };
        let general = ["rw", "ro", "xattr", "clone_children", "noprefix", "none"];
        let special =
            |option: &&str| !general.contains(option) && !option.starts_with("release_agent");
        let options: Vec<&str> = options.split(',').filter(special).collect();
        let hierarchy = Hierarchy {
            mountpoint: PathBuf::from(*mountpoint),
            root: (*root).to_owned(),
            options: options.join(","),
        };
        if !found.iter().any(|known| known.options == hierarchy.options) {
            found.push(hierarchy);
        }
    }
    found
}

/// Reads a file of `/proc`: in one go, since such a file is made anew for each read.
fn read(path: &str) -> Result<String, Failure> {
    let mut text = String::with_capacity(16 << 10);
    File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|e| {
            let errno = Errno::from_io_error(&e).unwrap_or(Errno::IO);
            (errno, path.to_owned())
        })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
29 28 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw
30 29 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
31 29 0:30 /a /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
32 29 0:30 /a /elsewhere rw - cgroup cgroup rw,xattr,name=systemd
33 29 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";

    #[test]
    fn the_whole_unified_hierarchy_is_found() {
        let place = Path::new("/sys/fs/cgroup/unified");
        assert_eq!(unified_place(MOUNTINFO), Some(place));
        let part = "33 29 0:31 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(unified_place(part), None);
        let odd = r"33 29 0:31 / /a\040b rw - cgroup2 cgroup2 rw";
        assert_eq!(unified_place(odd), None);
    }

    #[test]
    fn hierarchies_and_own_directories() {
        let found = old_hierarchies(MOUNTINFO);
        let options: Vec<_> = found.iter().map(|h| h.options.as_str()).collect();
        assert_eq!(options, ["cpu,cpuacct", "name=systemd"]);
        let own = "3:cpu,cpuacct:/g/x\n2:name=systemd:/a/g/x\n0::/";
        let dir = |n: usize| own_directory(&found[n], own);
        assert_eq!(dir(0), Path::new("/sys/fs/cgroup/cpu,cpuacct/g/x"));
        assert_eq!(dir(1), Path::new("/sys/fs/cgroup/systemd/g/x"));
    }
}
