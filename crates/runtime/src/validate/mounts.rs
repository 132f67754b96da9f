//! Mounts that a spec may not ask for.

use std::path::{Component, Path, PathBuf};

use gantry_oci::Mount;

use super::refuse;
use crate::error::{StartError, Step};
use crate::mount_options::MountOptions;

/// Files of `/proc` that may be covered: what a container may be told about its
/// machine without being able to do harm.
const COVERABLE: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Checks one mount.
pub(super) fn check(mount: &Mount) -> Result<(), StartError> {
    let options = MountOptions::parse(&mount.options);
    // The kernel would pass over them.
    if options.bind.is_some() && !options.remount && !options.data.is_empty() {
        let text = "bind mounts cannot have any filesystem-specific options applied";
        let name = mount.destination.to_string_lossy();
        return Err(refuse(&format!("mount {name}"), text));
    }
    proc_safety(mount)
}

/// Nothing goes into `/proc`, where masks and limits of the kernel live.
fn proc_safety(mount: &Mount) -> Result<(), StartError> {
    let path = clean(&mount.destination);
    let text = path.to_string_lossy();
    let proc_itself = path == Path::new("/proc") && mount.kind.as_deref() == Some("proc");
    if !path.starts_with("/proc") || proc_itself || COVERABLE.contains(&text.as_ref()) {
        return Ok(());
    }
    // The machine's own /proc may be shown: it is no fake.
    let from_proc = mount
        .source
        .as_ref()
        .is_some_and(|source| source.starts_with("/proc"));
    if path == Path::new("/proc") && from_proc {
        return Ok(());
    }
    let why = match path == Path::new("/proc") {
        true => "is not of type proc",
        false => "is inside /proc",
    };
    let why =
        format!("check proc-safety of {text} mount: {text:?} cannot be mounted because it {why}");
    let source = mount.source.as_deref().unwrap_or(Path::new(""));
    let error = StartError::other(Step::MountPoint, text, why);
    Err(error.with_source(source.to_string_lossy()))
}

/// The path without `.` and `..`, from the root.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_not_covered() {
        let check = |to: &str, from: &str, kind: &str| {
            let mount = Mount {
                destination: to.into(),
                source: Some(from.into()),
                kind: Some(kind.to_owned()),
                ..Mount::default()
            };
            super::check(&mount).is_ok()
        };
        assert!(check("/proc", "proc", "proc"));
        assert!(check("/proc/cpuinfo", "/x", "bind"));
        assert!(check("/process", "/x", "bind"));
        assert!(!check("/proc", "/x", "bind"));
        assert!(!check("/proc/sys/kernel", "/x", "bind"));
        assert!(!check("/a/../proc/self", "/x", "bind"));
    }

    #[test]
    fn binds_have_no_options_of_file_systems() {
        let bind = |options: &[&str]| Mount {
            destination: "/x".into(),
            options: options.iter().map(ToString::to_string).collect(),
            ..Mount::default()
        };
        assert!(check(&bind(&["rbind", "ro", "rprivate"])).is_ok());
        assert!(check(&bind(&["bind", "size=4k"])).is_err());
    }
}
