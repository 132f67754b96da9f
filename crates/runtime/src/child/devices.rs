//! Device nodes and the links of `/dev`.

use std::path::{Path, PathBuf};

use gantry_oci::{LinuxDevice, LinuxDeviceType, Spec};
use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::{mounts, rooted};
use crate::defaults;
use crate::error::{StartError, Step};

/// A node to be made.
struct Node {
    path: PathBuf,
    kind: FileType,
    device: u64,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Links that programs expect in `/dev`.
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
    ("pts/ptmx", "dev/ptmx"),
];

/// Makes the spec's devices, the usual ones, and the links.
pub(super) fn make_all(root: &RootDir, spec: &Spec, userns: bool) -> Result<(), StartError> {
    let listed = spec.linux.as_ref().map(|linux| linux.devices.as_slice());
    let listed = listed.unwrap_or_default();
    for device in listed {
        make(root, &node(device), userns)?;
    }
    for device in defaults::DEVICES {
        if listed.iter().any(|own| own.path == Path::new(device.path)) {
            continue;
        }
        let node = Node {
            path: PathBuf::from(device.path),
            kind: FileType::CharacterDevice,
            device: rustix::fs::makedev(device.major, device.minor),
            mode: 0o666,
            uid: 0,
            gid: 0,
        };
        make(root, &node, userns)?;
    }
    make_links(root)
}

fn node(device: &LinuxDevice) -> Node {
    let number = |value: i64| u32::try_from(value).unwrap_or(0);
    Node {
        path: device.path.clone(),
        kind: match device.kind {
            LinuxDeviceType::Block => FileType::BlockDevice,
            LinuxDeviceType::Fifo => FileType::Fifo,
            _ => FileType::CharacterDevice,
        },
        device: rustix::fs::makedev(number(device.major), number(device.minor)),
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    }
}

fn make(root: &RootDir, node: &Node, userns: bool) -> Result<(), StartError> {
    let path = node.path.to_string_lossy();
    let fail = |errno| StartError::new(Step::Device, errno, path.as_ref());
    if userns {
        return bind(root, node).map_err(fail);
    }
    let (parent, name) = match root.open_parent(&node.path) {
        Err(error) if error.errno == Errno::NOENT => {
            let above = node.path.parent().unwrap_or(Path::new("/"));
            root.mkdir_all(above, Mode::from_raw_mode(0o755))
                .map_err(rooted(Step::Device, &path))?;
            root.open_parent(&node.path)
        }
        other => other,
    }
    .map_err(rooted(Step::Device, &path))?;
    let mode = Mode::from_raw_mode(node.mode);
    match rustix::fs::mknodat(&parent, &name, node.kind, mode, node.device) {
        Ok(()) if (node.uid, node.gid) == (0, 0) => Ok(()),
        Ok(()) => {
            let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(&parent, &name, Some(uid), Some(gid), flags).map_err(fail)
        }
        // What is there already must be the same.
        Err(Errno::EXIST) => {
            let stat =
                rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
            let same = FileType::from_raw_mode(stat.st_mode) == node.kind
                && (node.kind == FileType::Fifo || stat.st_rdev == node.device);
            if same {
                Ok(())
            } else {
                Err(fail(Errno::EXIST))
            }
        }
        // Nodes are not for us to make: bind the host's.
        Err(Errno::PERM) => bind(root, node).map_err(fail),
        Err(errno) => Err(fail(errno)),
    }
}

/// The host's node over an empty file.
fn bind(root: &RootDir, node: &Node) -> rustix::io::Result<()> {
    let target = root
        .create_file(&node.path, Mode::from_raw_mode(0o644))
        .map_err(|error| error.errno)?;
    let tree = mounts::bind(&node.path, false)?;
    mounts::attach(tree, target)
}

fn make_links(root: &RootDir) -> Result<(), StartError> {
    for (target, path) in LINKS {
        let fail = |errno| StartError::new(Step::Device, errno, format!("/{path}"));
        let (parent, name) = match root.open_parent(path) {
            Ok(found) => found,
            // Without /dev there is nothing to link in.
            Err(error) if error.errno == Errno::NOENT => return Ok(()),
            Err(error) => return Err(fail(error.errno)),
        };
        match rustix::fs::symlinkat(target, &parent, &name) {
            Ok(()) => {}
            // A multiplexer that is not this container's is replaced.
            Err(Errno::EXIST) if name == "ptmx" => {
                rustix::fs::unlinkat(&parent, &name, AtFlags::empty()).map_err(fail)?;
                rustix::fs::symlinkat(target, &parent, &name).map_err(fail)?;
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(fail(errno)),
        }
    }
    Ok(())
}
