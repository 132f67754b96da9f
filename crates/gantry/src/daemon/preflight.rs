//! Whether this machine and this process can do what the engine needs; all that
//! is missing is said at once.

use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsopen};
use rustix::process::{PidfdFlags, geteuid, getpid, pidfd_open};
use rustix::thread::{CapabilitySet, capabilities};

/// What containers cannot be made without.
const CAPABILITIES: [(CapabilitySet, &str); 6] = [
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
    (CapabilitySet::MKNOD, "CAP_MKNOD"),
    (CapabilitySet::CHOWN, "CAP_CHOWN"),
];
const NAMESPACES: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

/// Checks the machine and the process.
///
/// # Errors
/// Lists everything that is missing.
pub(super) fn check() -> Result<(), String> {
    let mut missing = Vec::new();
    missing.extend(privileges());
    missing.extend(kernel());
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this machine or process lacks what the engine needs:\n  - {}",
        missing.join("\n  - ")
    ))
}

/// Checks that a data root is not another engine's.
///
/// # Errors
/// When it is Docker's.
pub(super) fn check_data_root(root: &Path) -> Result<(), String> {
    let theirs = ["image", "containerd", "overlay2", "buildkit"];
    let ours = root.join("metadata.db").exists();
    if !ours && theirs.iter().any(|name| root.join(name).exists()) {
        return Err(format!(
            "the data root {} belongs to another engine (Docker?): choose one with --data-root",
            root.display()
        ));
    }
    Ok(())
}

fn privileges() -> Vec<String> {
    if !geteuid().is_root() {
        return vec!["root: the daemon needs to be started with root privileges".to_owned()];
    }
    let held = match capabilities(None) {
        Ok(sets) => sets.effective,
        Err(errno) => return vec![format!("reading its own capabilities: {errno}")],
    };
    CAPABILITIES
        .iter()
        .filter(|(capability, _)| !held.contains(*capability))
        .map(|(_, name)| format!("the capability {name}"))
        .collect()
}

fn kernel() -> Vec<String> {
    let mut missing = Vec::new();
    for name in NAMESPACES {
        if !Path::new("/proc/self/ns").join(name).exists() {
            missing.push(format!("namespaces of the kind {name:?} in the kernel"));
        }
    }
    if !Path::new("/proc/self/cgroup").exists() {
        missing.push("control groups (CONFIG_CGROUPS) in the kernel".to_owned());
    }
    let calls = [
        ("pidfd_open (Linux 5.3)", has_pidfd()),
        ("openat2 (Linux 5.6)", has_openat2()),
        ("fsopen (Linux 5.2)", has_fsopen()),
    ];
    for (name, there) in calls {
        if !there {
            missing.push(format!("the system call {name}"));
        }
    }
    missing
}

fn has_pidfd() -> bool {
    !is_missing(pidfd_open(getpid(), PidfdFlags::empty()))
}

fn has_openat2() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::CWD;
    !is_missing(openat2(
        root,
        "/",
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    ))
}

fn has_fsopen() -> bool {
    !is_missing(fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC))
}

/// A refusal for any other reason is a call that is there.
fn is_missing<T>(outcome: rustix::io::Result<T>) -> bool {
    matches!(outcome, Err(Errno::NOSYS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_engines_data_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        check_data_root(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("overlay2")).unwrap();
        assert!(check_data_root(dir.path()).is_err());
        std::fs::write(dir.path().join("metadata.db"), "").unwrap();
        check_data_root(dir.path()).unwrap();
    }

    #[test]
    fn this_kernel_is_new_enough() {
        assert_eq!(kernel(), [""; 0]);
    }
}
