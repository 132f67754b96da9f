//! Attributes of the process and its namespaces that files and small calls set.

use std::path::Path;

use gantry_oci::{
    LinuxNamespaceType, LinuxPersonality, LinuxPersonalityDomain, PosixRlimit, PosixRlimitType,
    Process, Spec,
};
use gantry_sys::CloneFlags;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit};

use super::at;
use crate::error::{StartError, Step};
use crate::launch::Launch;
use crate::namespaces::Namespaces;

/// `PER_LINUX32`.
const PER_LINUX32: u64 = 8;

/// The namespaces that are made once the process sits in its cgroup.
pub(super) fn unshare_late(namespaces: &Namespaces<'_>) -> Result<(), StartError> {
    if namespaces.new_cgroup {
        gantry_sys::unshare(CloneFlags::NEWCGROUP).map_err(at(Step::Clone, "cgroup"))?;
    }
    if namespaces.new_ipc {
        gantry_sys::unshare(CloneFlags::NEWIPC).map_err(at(Step::Clone, "ipc"))?;
    }
    Ok(())
}

/// A time namespace. Before the change to the root of a new user namespace: the
/// files of this process are not that one's.
pub(super) fn unshare_time(namespaces: &Namespaces<'_>, spec: &Spec) -> Result<(), StartError> {
    if !namespaces.new_time {
        return Ok(());
    }
    gantry_sys::unshare(CloneFlags::NEWTIME).map_err(at(Step::Clone, "time"))?;
    let offsets = spec.linux.iter().flat_map(|linux| &linux.time_offsets);
    let mut text = String::new();
    for (clock, offset) in offsets {
        let (seconds, nanoseconds) = (offset.secs.unwrap_or(0), offset.nanosecs.unwrap_or(0));
        text.push_str(&format!("{clock} {seconds} {nanoseconds}\n"));
    }
    if !text.is_empty() {
        write("/proc/self/timens_offsets", &text)
            .map_err(at(Step::Attributes, "timens_offsets"))?;
    }
    let entry = rustix::fs::open(
        "/proc/self/ns/time_for_children",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    entry
        .and_then(|fd| {
            let kind = rustix::thread::LinkNameSpaceType::Time;
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&fd), Some(kind))
        })
        .map_err(at(Step::JoinNamespace, "time"))
}

/// Names, kernel parameters, keyring: by the host's `/proc`.
pub(super) fn before_mounts(launch: &Launch<'_>) -> Result<(), StartError> {
    let spec = launch.spec;
    if let Some(name) = &spec.hostname {
        rustix::system::sethostname(name.as_bytes()).map_err(at(Step::Hostname, name))?;
    }
    if let Some(name) = &spec.domainname {
        rustix::system::setdomainname(name.as_bytes()).map_err(at(Step::Hostname, name))?;
    }
    if launch.new_keyring {
        keyring(launch.id)?;
    }
    let own = Own::of(launch);
    for (key, value) in spec.linux.iter().flat_map(|linux| &linux.sysctl) {
        sysctl(key, value, &own)?;
    }
    personality(spec.linux.as_ref().and_then(|l| l.personality.as_ref()))
}

/// As which kind of Linux the kernel behaves.
pub(super) fn personality(wanted: Option<&LinuxPersonality>) -> Result<(), StartError> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let domain = match wanted.domain {
        LinuxPersonalityDomain::Linux => 0,
        LinuxPersonalityDomain::Linux32 => PER_LINUX32,
    };
    gantry_sys::personality(domain).map_err(at(Step::Attributes, "personality"))
}

/// What `/proc/self` sets and the program keeps.
pub(super) fn oom_and_label(score: Option<i32>, process: &Process) -> Result<(), StartError> {
    if let Some(score) = score {
        write("/proc/self/oom_score_adj", &score.to_string())
            .map_err(at(Step::OomScore, score.to_string()))?;
    }
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(profile) = filled(&process.apparmor_profile) {
        let text = format!("exec {profile}");
        let own = "/proc/self/attr/apparmor/exec";
        let file = if Path::new(own).exists() {
            own
        } else {
            "/proc/self/attr/exec"
        };
        write(file, &text).map_err(at(Step::Label, profile))?;
    }
    if let Some(label) = filled(&process.selinux_label) {
        write("/proc/self/attr/exec", &label).map_err(at(Step::Label, label))?;
    }
    Ok(())
}

/// Resource limits.
pub(super) fn limits(process: &Process) -> Result<(), StartError> {
    limit(None, &process.rlimits)
}

/// Sets resource limits of a process, or of this one.
pub(crate) fn limit<'a>(
    pid: Option<Pid>,
    limits: impl IntoIterator<Item = &'a PosixRlimit>,
) -> Result<(), StartError> {
    for limit in limits {
        let value = |value| (value != u64::MAX).then_some(value);
        let new = Rlimit {
            current: value(limit.soft),
            maximum: value(limit.hard),
        };
        rustix::process::prlimit(pid, resource(limit.kind), new)
            .map(drop)
            .map_err(at(Step::Rlimit, (limit.kind as u8).to_string()))?;
    }
    Ok(())
}

/// A session keyring of our own; kernels and filters without keyrings are fine.
fn keyring(id: &str) -> Result<(), StartError> {
    let name = std::ffi::CString::new(format!("_ses.{id}"))
        .map_err(|_| StartError::other(Step::Spec, "id", "holds a NUL byte"))?;
    match gantry_sys::join_session_keyring(&name) {
        Ok(_) | Err(Errno::NOSYS | Errno::PERM | Errno::DQUOT) => Ok(()),
        Err(errno) => Err(StartError::new(Step::Attributes, errno, "keyring")),
    }
}

/// Which kinds of namespace are not the host's: only what belongs to these may
/// be written.
struct Own {
    network: bool,
    ipc: bool,
    uts: bool,
}

/// Parameters of an IPC namespace.
const IPC_PARAMETERS: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

impl Own {
    fn of(launch: &Launch<'_>) -> Self {
        let has = |kind| {
            let mut listed = launch.spec.linux.iter().flat_map(|l| &l.namespaces);
            listed.any(|namespace| namespace.kind == kind)
        };
        Self {
            network: launch.network.is_some() || has(LinuxNamespaceType::Network),
            ipc: has(LinuxNamespaceType::Ipc),
            uts: has(LinuxNamespaceType::Uts),
        }
    }

    fn allows(&self, path: &str) -> bool {
        if path.starts_with("net/") {
            return self.network;
        }
        if path.starts_with("fs/mqueue/") || IPC_PARAMETERS.contains(&path) {
            return self.ipc;
        }
        self.uts && matches!(path, "kernel/domainname" | "kernel/hostname")
    }
}

/// Writes one kernel parameter.
fn sysctl(key: &str, value: &str, own: &Own) -> Result<(), StartError> {
    let path = crate::validate::sysctl_path(key);
    if !own.allows(&path) {
        let text = "is not in a separate kernel namespace";
        return Err(StartError::other(Step::Spec, format!("sysctl {key}"), text));
    }
    if path
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(StartError::other(Step::Spec, key, "is not a sysctl"));
    }
    let fail = at(Step::Sysctl, key);
    let open = || {
        let base = rustix::fs::open(
            "/proc/sys",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(base, path.as_str(), flags, Mode::empty(), resolve)
    };
    open()
        .and_then(|fd| rustix::io::write(fd, value.as_bytes()))
        .map(drop)
        .map_err(fail)
}

fn write(path: &str, text: &str) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::io::write(fd, text.as_bytes()).map(drop)
}

fn resource(kind: PosixRlimitType) -> Resource {
    match kind {
        PosixRlimitType::Cpu => Resource::Cpu,
        PosixRlimitType::Fsize => Resource::Fsize,
        PosixRlimitType::Data => Resource::Data,
        PosixRlimitType::Stack => Resource::Stack,
        PosixRlimitType::Core => Resource::Core,
        PosixRlimitType::Rss => Resource::Rss,
        PosixRlimitType::Nproc => Resource::Nproc,
        PosixRlimitType::Nofile => Resource::Nofile,
        PosixRlimitType::Memlock => Resource::Memlock,
        PosixRlimitType::As => Resource::As,
        PosixRlimitType::Locks => Resource::Locks,
        PosixRlimitType::Sigpending => Resource::Sigpending,
        PosixRlimitType::Msgqueue => Resource::Msgqueue,
        PosixRlimitType::Nice => Resource::Nice,
        PosixRlimitType::Rtprio => Resource::Rtprio,
        PosixRlimitType::Rttime => Resource::Rttime,
    }
}
