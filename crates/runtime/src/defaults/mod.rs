//! What container engines by custom put into a spec: capabilities, hidden
//! paths, devices, mounts and the seccomp profile. Plain data; the runtime
//! itself uses none of it unless the spec says so.

mod paths;
mod spec;

use std::path::PathBuf;

use gantry_oci::{LinuxDeviceCgroup, LinuxDeviceType, Mount};

use crate::capability::CapabilityMask;

pub use paths::{MASKED_PATHS, READONLY_PATHS, masked_paths};
pub use spec::example_spec;

/// The default seccomp profile, with conditions (see [`crate::seccomp::from_profile`]).
pub const SECCOMP_PROFILE: &str = include_str!("seccomp.json");

/// The capabilities of a container that asks for nothing special.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// [`CAPABILITIES`] as a set.
pub fn capabilities() -> CapabilityMask {
    CapabilityMask::from_names(CAPABILITIES).unwrap_or_default()
}

/// All capabilities that this kernel knows and this process may pass on.
pub fn all_capabilities() -> CapabilityMask {
    let known = CapabilityMask((1 << crate::capability::NAMES.len()) - 1);
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let bounding = text
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    CapabilityMask(known.0 & bounding.unwrap_or(known.0))
}

/// A device that every container has without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultDevice {
    /// Where.
    pub path: &'static str,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// Character devices that every container has; mode 0666, owned by root.
pub const DEVICES: [DefaultDevice; 6] = [
    DefaultDevice {
        path: "/dev/null",
        major: 1,
        minor: 3,
    },
    DefaultDevice {
        path: "/dev/random",
        major: 1,
        minor: 8,
    },
    DefaultDevice {
        path: "/dev/full",
        major: 1,
        minor: 7,
    },
    DefaultDevice {
        path: "/dev/tty",
        major: 5,
        minor: 0,
    },
    DefaultDevice {
        path: "/dev/zero",
        major: 1,
        minor: 5,
    },
    DefaultDevice {
        path: "/dev/urandom",
        major: 1,
        minor: 9,
    },
];

/// The size of `/dev/shm` unless asked otherwise.
pub const SHM_SIZE: u64 = 64 << 20;

/// Device access of a container that asks for nothing special: nothing, but
/// [`DEVICES`] and what [`runtime_device_rules`] add.
pub fn device_rules() -> Vec<LinuxDeviceCgroup> {
    let mut rules = vec![device_rule(false, None, None, None, "rwm")];
    rules.extend(runtime_device_rules());
    rules
}

/// Device access that every container has, whatever its spec says: the devices
/// and terminals that the runtime itself makes.
pub fn runtime_device_rules() -> Vec<LinuxDeviceCgroup> {
    let c = Some(LinuxDeviceType::Character);
    // Making nodes is harmless where they cannot be opened.
    let mut rules = vec![
        device_rule(true, c, None, None, "m"),
        device_rule(true, Some(LinuxDeviceType::Block), None, None, "m"),
    ];
    let numbers = |device: &DefaultDevice| (i64::from(device.major), i64::from(device.minor));
    // Also the console and the terminal multiplexer.
    for (major, minor) in DEVICES.iter().map(numbers).chain([(5, 1), (5, 2)]) {
        rules.push(device_rule(true, c, Some(major), Some(minor), "rwm"));
    }
    // Every side of a pseudo-terminal.
    rules.push(device_rule(true, c, Some(136), None, "rwm"));
    rules
}

/// One rule; `None` stands for all.
pub fn device_rule(
    allow: bool,
    kind: Option<LinuxDeviceType>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    LinuxDeviceCgroup {
        allow,
        kind,
        major,
        minor,
        access: Some(access.to_owned()),
    }
}

/// One mount of a spec.
pub fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: PathBuf::from(destination),
        kind: Some(kind.to_owned()),
        source: Some(PathBuf::from(source)),
        options: options.iter().map(ToString::to_string).collect(),
        ..Mount::default()
    }
}

/// The mounts of a container that asks for nothing special. A privileged one
/// has `/sys` and `/sys/fs/cgroup` writable.
pub fn mounts(privileged: bool) -> Vec<Mount> {
    let hidden = ["nosuid", "noexec", "nodev"];
    let mut system = hidden.to_vec();
    if !privileged {
        system.push("ro");
    }
    let shm_size = format!("size={SHM_SIZE}");
    let shm = ["nosuid", "noexec", "nodev", "mode=1777", shm_size.as_str()];
    let dev = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    let pts = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
    ];
    vec![
        mount("/proc", "proc", "proc", &hidden),
        mount("/dev", "tmpfs", "tmpfs", &dev),
        mount("/dev/pts", "devpts", "devpts", &pts),
        mount("/sys", "sysfs", "sysfs", &system),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &system),
        mount("/dev/mqueue", "mqueue", "mqueue", &hidden),
        mount("/dev/shm", "tmpfs", "shm", &shm),
    ]
}
