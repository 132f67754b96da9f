//! The mounts of a container: the kernel's file systems, `/dev/shm`, what the
//! client wants, and the three network files, in an order in which none hides
//! another.

use gantry_api::{HostConfig, MountPoint};
use gantry_runtime::defaults;
use gantry_runtime::oci::Mount;

use super::super::binds::clean;
use super::super::record::Record;
use super::{INIT, SpecInput, tmpfs};
use crate::error::Result;

/// The files in the container's directory, and where it sees them.
const FILES: [(&str, &str); 3] = [
    ("resolv.conf", "/etc/resolv.conf"),
    ("hostname", "/etc/hostname"),
    ("hosts", "/etc/hosts"),
];

pub(super) fn mounts(input: &SpecInput<'_>) -> Result<Vec<Mount>> {
    let record = input.record;
    let mut wished = wished(record);
    let taken: Vec<String> = wished.iter().map(destination).collect();
    let mut mounts = system(input, &taken);
    if let Some(init) = input.init {
        let source = init.display().to_string();
        // A host whose `/run` is `noexec` has init programs there all the same.
        wished.push(defaults::mount(
            INIT,
            "bind",
            &source,
            &["bind", "ro", "exec"],
        ));
    }
    for (file, target) in FILES {
        if !taken.iter().any(|taken| taken == target) {
            let source = input.dir.join(file).display().to_string();
            let options = match record.host_config.readonly_rootfs {
                true => ["rbind", "rprivate", "ro"].as_slice(),
                false => &["rbind", "rprivate"],
            };
            wished.push(defaults::mount(target, "bind", &source, options));
        }
    }
    // What is nearer to the root is mounted first.
    wished.sort_by_key(|mount| mount.destination.components().count());
    mounts.extend(wished);
    Ok(mounts)
}

/// How the root's mounts and the host's get to see each other's changes: as
/// much as the most open bind mount needs.
pub(super) fn root_propagation(record: &Record) -> Option<String> {
    let any = |kind: &str| {
        let mut mounts = record.mounts.iter();
        mounts.any(|mount| mount.propagation.trim_start_matches('r') == kind)
    };
    match (any("shared"), any("slave")) {
        (true, _) => Some("shared".to_owned()),
        (false, true) => Some("rslave".to_owned()),
        (false, false) => None,
    }
}

/// The kernel's file systems, less those that the client mounts over.
fn system(input: &SpecInput<'_>, taken: &[String]) -> Vec<Mount> {
    let host = &input.record.host_config;
    let mut mounts = defaults::mounts(host.privileged);
    mounts.retain(|mount| !taken.contains(&destination(mount)));
    for mount in &mut mounts {
        if destination(mount) == "/dev/shm" {
            *mount = shm(host, input.joined.ipc);
        }
        if input.writable_cgroups && destination(mount) == "/sys/fs/cgroup" {
            mount.options.retain(|option| option != "ro");
        }
    }
    if host.ipc_mode == "none" {
        mounts.retain(|mount| destination(mount) != "/dev/shm");
    }
    mounts
}

fn shm(host: &HostConfig, donor: Option<i32>) -> Mount {
    if let Some(pid) = donor {
        // The runtime takes it from there, out of another mount namespace.
        let source = format!("/proc/{pid}/root/dev/shm");
        return defaults::mount("/dev/shm", "bind", &source, &["rbind"]);
    }
    if host.ipc_mode == "host" {
        let options = ["rbind", "nosuid", "noexec", "nodev"];
        return defaults::mount("/dev/shm", "bind", "/dev/shm", &options);
    }
    let size = format!("size={}", host.shm_size);
    let options = ["nosuid", "noexec", "nodev", "mode=1777", size.as_str()];
    defaults::mount("/dev/shm", "tmpfs", "shm", &options)
}

/// What the client wants mounted.
fn wished(record: &Record) -> Vec<Mount> {
    let host = &record.host_config;
    let mut mounts: Vec<Mount> = record.mounts.iter().map(bind).collect();
    for (target, options) in host.tmpfs.iter().flatten() {
        mounts.push(tmpfs_mount(&clean(target), &tmpfs::options(options)));
    }
    for mount in host.mounts.iter().flatten() {
        if mount.kind == "tmpfs" {
            let wanted = mount.tmpfs_options.clone().unwrap_or_default();
            let mut options = tmpfs::options("");
            if wanted.size_bytes > 0 {
                options.push(format!("size={}", wanted.size_bytes));
            }
            if wanted.mode != 0 {
                options.push(format!("mode={:o}", wanted.mode));
            }
            if mount.read_only {
                options.push("ro".to_owned());
            }
            for option in wanted.options.iter().flatten() {
                options.push(option.join("="));
            }
            mounts.push(tmpfs_mount(&clean(&mount.target), &options));
        }
    }
    mounts
}

fn tmpfs_mount(target: &str, options: &[String]) -> Mount {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    defaults::mount(target, "tmpfs", "tmpfs", &options)
}

fn bind(point: &MountPoint) -> Mount {
    let recursion = match point.mode.split(',').any(|word| word == "bind") {
        true => "bind",
        false => "rbind",
    };
    let mut options = vec![recursion];
    if !point.rw {
        // With the mounts below it, as Docker does.
        options.extend(["ro", "rro"]);
    }
    options.push(&point.propagation);
    defaults::mount(&point.destination, "bind", &point.source, &options)
}

fn destination(mount: &Mount) -> String {
    mount.destination.display().to_string()
}
