//! The devices of a container: those that every container has, and for a
//! privileged one all of the host's.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use gantry_api::HostConfig;
use gantry_runtime::defaults;
use gantry_runtime::oci::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};

/// What is never handed on from the host's `/dev`: the container has its own.
const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", "console", ".lxc"];
/// How many directories deep the host's `/dev` is looked through.
const DEPTH: usize = 4;

/// The device nodes to make beyond the runtime's own, and the access rules.
pub(super) fn devices(host: &HostConfig) -> (Vec<LinuxDevice>, Vec<LinuxDeviceCgroup>) {
    if !host.privileged {
        return (Vec::new(), defaults::device_rules());
    }
    let mut nodes = Vec::new();
    collect(Path::new("/dev"), DEPTH, &mut nodes);
    let all = defaults::device_rule(true, None, None, None, "rwm");
    (nodes, vec![all])
}

/// Adds the nodes below `dir`; what cannot be looked at is left out.
fn collect(dir: &Path, depth: usize, nodes: &mut Vec<LinuxDevice>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            if depth > 1 && !OWN.iter().any(|own| name == *own) {
                collect(&path, depth - 1, nodes);
            }
        } else if (kind.is_char_device() || kind.is_block_device()) && name != "console" {
            nodes.push(node(&path, &metadata, kind.is_char_device()));
        }
    }
}

fn node(path: &Path, metadata: &std::fs::Metadata, is_char: bool) -> LinuxDevice {
    let number = metadata.rdev();
    let kind = match is_char {
        true => LinuxDeviceType::Character,
        false => LinuxDeviceType::Block,
    };
    LinuxDevice {
        path: path.to_owned(),
        kind,
        major: i64::from(rustix::fs::major(number)),
        minor: i64::from(rustix::fs::minor(number)),
        file_mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
    }
}
