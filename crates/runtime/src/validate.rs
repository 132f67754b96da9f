//! What a spec may not ask: refused before any process is made, by name.

use std::path::{Component, Path, PathBuf};

use gantry_oci::{LinuxNamespaceType, Mount, Process, Spec};

use crate::error::{StartError, Step};

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

fn refuse(what: &str, why: &str) -> StartError {
    StartError::other(Step::Spec, what, why)
}

/// Checks a container's spec.
pub(crate) fn spec(spec: &Spec) -> Result<(), StartError> {
    let listed = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    let uts = listed
        .into_iter()
        .any(|namespace| namespace.kind == LinuxNamespaceType::Uts);
    // Else it would be the host that is renamed.
    if !uts && (spec.hostname.is_some() || spec.domainname.is_some()) {
        return Err(refuse("hostname", "needs a private UTS namespace"));
    }
    if let Some(linux) = &spec.linux {
        let asked = [
            ("linux.intelRdt", linux.intel_rdt.is_some()),
            ("linux.netDevices", !linux.net_devices.is_empty()),
        ];
        if let Some((name, _)) = asked.iter().find(|(_, asked)| *asked) {
            return Err(refuse(name, "is not supported"));
        }
    }
    spec.mounts.iter().try_for_each(mount)
}

/// Checks a process.
pub(crate) fn process(process: &Process) -> Result<(), StartError> {
    let asked = [
        ("process.ioPriority", process.io_priority.is_some()),
        ("process.scheduler", process.scheduler.is_some()),
        (
            "process.execCPUAffinity",
            process.exec_cpu_affinity.is_some(),
        ),
    ];
    if let Some((name, _)) = asked.iter().find(|(_, asked)| *asked) {
        return Err(refuse(name, "is not supported"));
    }
    if !process.cwd.is_absolute() {
        return Err(refuse("process.cwd", "must be an absolute path"));
    }
    Ok(())
}

/// Nothing goes into `/proc`, where masks and limits of the kernel live.
fn mount(mount: &Mount) -> Result<(), StartError> {
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

    fn parse(text: &str) -> Spec {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_host_keeps_its_name() {
        let error = spec(&parse(r#"{"ociVersion":"1.2.0","hostname":"x"}"#)).unwrap_err();
        assert_eq!((error.step, error.path.as_str()), (Step::Spec, "hostname"));
        let text =
            r#"{"ociVersion":"1.2.0","hostname":"x","linux":{"namespaces":[{"type":"uts"}]}}"#;
        assert_eq!(spec(&parse(text)), Ok(()));
    }

    #[test]
    fn proc_is_not_covered() {
        let check = |to: &str, from: &str, kind: &str| {
            spec(&parse(&format!(
                r#"{{"ociVersion":"1.2.0","mounts":[{{"destination":"{to}","source":"{from}","type":"{kind}"}}]}}"#
            )))
            .is_ok()
        };
        assert!(check("/proc", "proc", "proc"));
        assert!(check("/proc/cpuinfo", "/x", "bind"));
        assert!(check("/process", "/x", "bind"));
        assert!(!check("/proc", "/x", "bind"));
        assert!(!check("/proc/sys/kernel", "/x", "bind"));
        assert!(!check("/a/../proc/self", "/x", "bind"));
    }
}
