//! The flags of `create` and `run`.

use crate::args::{Flag, Kind, Values, flag, values};

/// Flags that say what runs, and how it is called.
pub(crate) static CONFIG: &[Flag] = &[
    flag("attach", Kind::Streams, "Attach to stdin, stdout or stderr")
        .values(values::STREAMS)
        .short('a'),
    flag("domainname", Kind::Text, "NIS domain name of the container"),
    flag(
        "entrypoint",
        Kind::Text,
        "Run this instead of the image's ENTRYPOINT",
    ),
    flag("env", Kind::Env, "Set an environment variable")
        .values(Values::Environment)
        .short('e'),
    flag(
        "env-file",
        Kind::List,
        "Set the environment variables of a file",
    ),
    flag("expose", Kind::List, "Expose a port or a range of ports"),
    flag("health-cmd", Kind::Text, "Command that checks the health"),
    flag(
        "health-interval",
        Kind::Duration,
        "Time between two health checks (ms|s|m|h)",
    )
    .default("0s"),
    flag(
        "health-on-failure",
        Kind::Text,
        "What to do about an unhealthy container (gantry only)",
    )
    .values(values::HEALTH_ON_FAILURE),
    flag(
        "health-retries",
        Kind::Int,
        "Failed checks in a row that make a container unhealthy",
    )
    .default("0"),
    flag(
        "health-start-interval",
        Kind::Duration,
        "Time between two checks while starting (ms|s|m|h)",
    )
    .default("0s"),
    flag(
        "health-start-period",
        Kind::Duration,
        "Time to start up before failed checks count (ms|s|m|h)",
    )
    .default("0s"),
    flag(
        "health-timeout",
        Kind::Duration,
        "Longest time one check may take (ms|s|m|h)",
    )
    .default("0s"),
    flag("hostname", Kind::Text, "Host name of the container").short('h'),
    flag(
        "interactive",
        Kind::Bool,
        "Keep stdin open even if not attached",
    )
    .short('i'),
    flag("label", Kind::Label, "Set a label").short('l'),
    flag("label-file", Kind::List, "Set the labels of a file"),
    flag("name", Kind::Text, "Name of the container"),
    flag(
        "no-healthcheck",
        Kind::Bool,
        "Switch the image's HEALTHCHECK off",
    ),
    flag("platform", Kind::Text, "Platform of the image, as os/arch").values(values::PLATFORMS),
    flag("stop-signal", Kind::Text, "Signal that stops the container").values(values::SIGNALS),
    flag(
        "stop-timeout",
        Kind::Int,
        "Seconds to wait before a stop kills",
    )
    .default("0"),
    flag("tty", Kind::Bool, "Give the container a terminal").short('t'),
    flag("user", Kind::Text, "User, as <name|uid>[:<group|gid>]").short('u'),
    flag(
        "workdir",
        Kind::Text,
        "Working directory inside the container",
    )
    .short('w'),
];

/// Flags about this client's own work.
pub(crate) static CLIENT: &[Flag] = &[
    flag("cidfile", Kind::Text, "Write the container's id to a file"),
    flag(
        "disable-content-trust",
        Kind::Bool,
        "Skip image verification",
    )
    .default("true"),
    flag(
        "pull",
        Kind::Text,
        "When to pull the image (always, missing, never)",
    )
    .values(Values::OneOf(&["always", "missing", "never"]))
    .default("missing"),
    flag("quiet", Kind::Bool, "Do not show the progress of a pull").short('q'),
    flag(
        "use-api-socket",
        Kind::Bool,
        "Mount the daemon's socket and the client's credentials",
    ),
];

/// Limits that `update` can change later.
pub(crate) static UPDATABLE: &[Flag] = &[
    flag(
        "blkio-weight",
        Kind::Uint16,
        "Weight of block I/O, 10 to 1000, or 0 for none (default 0)",
    )
    .default("0"),
    flag(
        "cpu-period",
        Kind::Int,
        "Period of the CPU quota in microseconds",
    )
    .default("0"),
    flag(
        "cpu-quota",
        Kind::Int,
        "CPU time per period in microseconds",
    )
    .default("0"),
    flag(
        "cpu-rt-period",
        Kind::Int,
        "Period of the real-time limit in microseconds",
    )
    .default("0"),
    flag(
        "cpu-rt-runtime",
        Kind::Int,
        "Real-time CPU time per period in microseconds",
    )
    .default("0"),
    flag("cpu-shares", Kind::Int, "Relative weight of CPU time")
        .short('c')
        .default("0"),
    flag("cpus", Kind::Decimal, "Number of CPUs"),
    flag("cpuset-cpus", Kind::Text, "CPUs to run on (0-3, 0,1)"),
    flag("cpuset-mems", Kind::Text, "Memory nodes to use (0-3, 0,1)"),
    flag("kernel-memory", Kind::Bytes, "Limit of kernel memory").hidden(),
    flag("memory", Kind::Bytes, "Limit of memory").short('m'),
    flag("memory-reservation", Kind::Bytes, "Soft limit of memory"),
    flag(
        "memory-swap",
        Kind::SwapBytes,
        "Limit of memory and swap together, -1 for no limit",
    ),
    flag("pids-limit", Kind::Int, "Limit of processes, -1 for none").default("0"),
];

/// Other flags that limit and weigh resources.
pub(crate) static RESOURCES: &[Flag] = &[
    flag(
        "blkio-weight-device",
        Kind::DeviceWeight,
        "Weight of block I/O on one device",
    )
    .default("[]"),
    flag(
        "cgroup-parent",
        Kind::Text,
        "Parent cgroup of the container",
    ),
    flag("cpu-count", Kind::Int, "Number of CPUs (Windows only)").default("0"),
    flag(
        "cpu-percent",
        Kind::Int,
        "Percent of the CPUs (Windows only)",
    )
    .default("0"),
    flag(
        "device-read-bps",
        Kind::DeviceBytes,
        "Limit bytes read per second from a device",
    )
    .default("[]"),
    flag(
        "device-read-iops",
        Kind::DeviceOperations,
        "Limit reads per second from a device",
    )
    .default("[]"),
    flag(
        "device-write-bps",
        Kind::DeviceBytes,
        "Limit bytes written per second to a device",
    )
    .default("[]"),
    flag(
        "device-write-iops",
        Kind::DeviceOperations,
        "Limit writes per second to a device",
    )
    .default("[]"),
    flag(
        "io-maxbandwidth",
        Kind::Bytes,
        "Largest I/O bandwidth of the system drive (Windows only)",
    )
    .hidden(),
    flag(
        "io-maxiops",
        Kind::Uint,
        "Most I/O operations of the system drive (Windows only)",
    )
    .hidden(),
    flag(
        "memory-swappiness",
        Kind::Int,
        "Swappiness of the container's memory, 0 to 100",
    )
    .default("-1"),
    flag(
        "oom-kill-disable",
        Kind::Bool,
        "Never kill processes of the container for lack of memory",
    ),
    flag(
        "oom-score-adj",
        Kind::Int,
        "Change the chance to be killed for lack of memory (-1000 to 1000)",
    )
    .default("0"),
    flag("shm-size", Kind::Bytes, "Size of /dev/shm"),
    flag(
        "ulimit",
        Kind::Ulimit,
        "Set a resource limit, as name=soft[:hard]",
    )
    .values(values::LIMITS),
];

const RESTART_POLICY: Flag = flag(
    "restart",
    Kind::Text,
    "When to restart the container after its end",
)
.values(values::RESTART);

/// The restart policy of a new container.
pub(crate) static RESTART: &[Flag] = &[RESTART_POLICY.default("no")];

/// The restart policy in `update`, where none means no change.
pub(crate) static RESTART_UNCHANGED: &[Flag] = &[RESTART_POLICY];

/// Flags about the host: files, devices, rights, namespaces, logs.
pub(crate) static HOST: &[Flag] = &[
    flag(
        "annotation",
        Kind::Map,
        "Add an annotation for the OCI runtime",
    ),
    flag("cap-add", Kind::List, "Add a capability").values(values::CAPABILITIES),
    flag("cap-drop", Kind::List, "Drop a capability").values(values::CAPABILITIES),
    flag("cgroupns", Kind::Text, "Cgroup namespace (host, private)")
        .values(Values::OneOf(&["host", "private"])),
    flag("device", Kind::List, "Add a device of the host"),
    flag(
        "device-cgroup-rule",
        Kind::List,
        "Add a rule to the list of allowed devices",
    ),
    flag("gpus", Kind::Gpus, "Add GPUs ('all' adds all of them)"),
    flag("group-add", Kind::List, "Join another group"),
    flag(
        "init",
        Kind::Bool,
        "Run an init that forwards signals and reaps processes",
    ),
    flag("ipc", Kind::Text, "IPC mode").values(Values::ContainerOr(&[
        "host",
        "none",
        "private",
        "shareable",
    ])),
    flag("isolation", Kind::Text, "Isolation technology"),
    flag("log-driver", Kind::Text, "Logging driver").values(Values::LogDrivers),
    flag("log-opt", Kind::List, "Option of the logging driver"),
    flag(
        "mount",
        Kind::Mount,
        "Mount a filesystem into the container",
    ),
    flag("pid", Kind::Text, "PID namespace").values(Values::ContainerOr(&["host"])),
    flag("privileged", Kind::Bool, "Give the container all rights"),
    flag(
        "read-only",
        Kind::Bool,
        "Mount the root filesystem read-only",
    ),
    flag(
        "rm",
        Kind::Bool,
        "Remove the container and its anonymous volumes when it ends",
    ),
    flag("runtime", Kind::Text, "OCI runtime"),
    flag("security-opt", Kind::List, "Security option").values(values::SECURITY),
    flag("storage-opt", Kind::List, "Option of the storage driver")
        .values(Values::StartOf(&["size="])),
    flag(
        "sysctl",
        Kind::Sysctl,
        "Kernel parameter of the container's namespaces",
    ),
    flag("tmpfs", Kind::List, "Mount a tmpfs, as path[:options]"),
    flag("userns", Kind::Text, "User namespace").values(Values::OneOf(&["auto", "host"])),
    flag("uts", Kind::Text, "UTS namespace").values(Values::OneOf(&["host"])),
    flag(
        "volume",
        Kind::List,
        "Mount a directory or volume, as source:target[:options]",
    )
    .short('v'),
    flag(
        "volume-driver",
        Kind::Text,
        "Driver of the container's volumes",
    )
    .values(Values::VolumeDrivers),
    flag(
        "volumes-from",
        Kind::List,
        "Mount the volumes of another container",
    )
    .values(Values::Containers),
];

/// Flags about networks.
pub(crate) static NETWORK: &[Flag] = &[
    flag("add-host", Kind::ExtraHost, "Add a host, as name:ip"),
    flag("dns", Kind::Address, "Use a DNS server"),
    flag("dns-opt", Kind::List, "Set a DNS option").hidden(),
    flag("dns-option", Kind::List, "Set a DNS option"),
    flag("dns-search", Kind::List, "Search a DNS domain"),
    flag("ip", Kind::Text, "IPv4 address"),
    flag("ip6", Kind::Text, "IPv6 address"),
    flag("link", Kind::List, "Link to another container").values(Values::Containers),
    flag("link-local-ip", Kind::List, "Link-local address"),
    flag("mac-address", Kind::Text, "MAC address"),
    flag("net", Kind::Network, "Connect to a network").hidden(),
    flag("net-alias", Kind::List, "Add an alias on the network").hidden(),
    flag("network", Kind::Network, "Connect to a network").values(Values::Networks),
    flag("network-alias", Kind::List, "Add an alias on the network"),
    flag(
        "publish",
        Kind::List,
        "Publish a port, as [ip:][host-port:]port[/protocol]",
    )
    .short('p'),
    flag(
        "publish-all",
        Kind::Bool,
        "Publish every exposed port on a random one",
    )
    .short('P'),
    flag(
        "publish-from",
        Kind::List,
        "Who may use published ports: CIDR, ADDRESS or all (gantry only)",
    ),
];
