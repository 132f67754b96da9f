//! What the value of a flag can be, as far as completion knows.

/// Where the values of a flag come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// Anything: the shell offers files.
    Any,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of these, and more text after it.
    StartOf(&'static [&'static str]),
    /// One of these, or `container:` and a container.
    ContainerOr(&'static [&'static str]),
    /// Names of variables of this process.
    Environment,
    Containers,
    Networks,
    Contexts,
    LogDrivers,
    VolumeDrivers,
}

pub(crate) const RESTART: Values = Values::OneOf(&["no", "always", "on-failure", "unless-stopped"]);

pub(crate) const HEALTH_ON_FAILURE: Values = Values::OneOf(&["none", "restart", "stop", "kill"]);

pub(crate) const PLATFORMS: Values = Values::OneOf(&[
    "linux/386",
    "linux/amd64",
    "linux/arm/v5",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
]);

pub(crate) const SIGNALS: Values = Values::OneOf(&[
    "ABRT", "ALRM", "BUS", "CHLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "KILL", "PIPE",
    "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN",
    "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
]);

pub(crate) const CAPABILITIES: Values = Values::OneOf(&[
    "ALL",
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
]);

pub(crate) const LIMITS: Values = Values::StartOf(&[
    "as=",
    "core=",
    "cpu=",
    "data=",
    "fsize=",
    "locks=",
    "memlock=",
    "msgqueue=",
    "nice=",
    "nofile=",
    "nproc=",
    "rss=",
    "rtprio=",
    "sigpending=",
    "stack=",
]);

pub(crate) const EVENT_FILTERS: Values = Values::StartOf(&[
    "container=",
    "daemon=",
    "event=",
    "image=",
    "label=",
    "network=",
    "node=",
    "scope=",
    "type=",
    "volume=",
]);

pub(crate) const SECURITY: Values = Values::StartOf(&[
    "apparmor=",
    "label=",
    "no-new-privileges",
    "seccomp=",
    "systempaths=unconfined",
]);

pub(crate) const PROGRESS: Values =
    Values::OneOf(&["auto", "none", "plain", "quiet", "rawjson", "tty"]);

pub(crate) const CALLS: Values = Values::OneOf(&["build", "check", "outline", "targets"]);

pub(crate) const TYPES: Values = Values::OneOf(&["container", "image", "network", "volume"]);

pub(crate) const DETACH_KEYS: Values = Values::StartOf(&["ctrl-"]);

pub(crate) const STREAMS: Values = Values::OneOf(&["stderr", "stdin", "stdout"]);
