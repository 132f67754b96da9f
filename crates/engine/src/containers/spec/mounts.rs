//! The mounts of a container: the kernel's file systems, `/dev/shm`, what the
//! client wants, and the three network files, in an order in which none hides
//! another.

use gantry_api::HostConfig;
use gantry_runtime::defaults;
use gantry_runtime::oci::Mount;

use super::super::mounts::{Below, Bind, MountPoint, Mounted};
use super::super::record::Record;
use super::{INIT, SpecInput};
use crate::error::Result;

/// The files in the container's directory, and where it sees them.
pub(crate) const NAME_FILES: [(&str, &str); 3] = [
    ("resolv.conf", "/etc/resolv.conf"),
    ("hostname", "/etc/hostname"),
    ("hosts", "/etc/hosts"),
];

pub(super) fn mounts(input: &SpecInput<'_>) -> Result<Vec<Mount>> {
    let record = input.record;
    let mut wished: Vec<Mount> = record.mounts.iter().filter_map(wished).collect();
    wished.extend_from_slice(input.volumes);
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
    for (file, target) in NAME_FILES {
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
    gantry_types::sort::by_key(&mut wished, |mount| mount.destination.components().count());
    mounts.extend(wished);
    Ok(mounts)
}

/// How the root's mounts and the host's get to see each other's changes: as
/// much as the most open bind mount needs.
pub(super) fn root_propagation(record: &Record) -> Option<String> {
    let any = |kind: &str| {
        let mut mounts = record.mounts.iter();
        mounts.any(|mount| mount.propagation().trim_start_matches('r') == kind)
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

/// One thing that the client wants mounted.
fn wished(point: &MountPoint) -> Option<Mount> {
    let target = point.target.as_str();
    match &point.what {
        Mounted::Bind(bind) if bind.owners.is_none() => Some(bound(point, bind)),
        Mounted::Tmpfs(tmpfs) => {
            let options: Vec<&str> = tmpfs.options.iter().map(String::as_str).collect();
            Some(defaults::mount(target, "tmpfs", "tmpfs", &options))
        }
        // These are ready already.
        Mounted::Bind(_) | Mounted::Volume(_) | Mounted::Image(_) => None,
    }
}

fn bound(point: &MountPoint, bind: &Bind) -> Mount {
    let mut options = vec![match bind.non_recursive {
        true => "bind",
        false => "rbind",
    }];
    if point.read_only {
        options.push("ro");
        if bind.below != Below::Writable {
            // With the mounts below it, as Docker does.
            options.push("rro");
        }
    }
    options.push(&bind.propagation);
    defaults::mount(&point.target, "bind", &bind.source, &options)
}

fn destination(mount: &Mount) -> String {
    mount.destination.display().to_string()
}
