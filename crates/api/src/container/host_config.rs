//! How a container runs on its host. Every field of Docker's is here, so that
//! the engine can refuse by name what it does not support.

use std::collections::BTreeMap;

use super::Mount;
use crate::PortMap;
use crate::body::is_default;

body! {
    /// The `HostConfig` of a container.
    pub struct HostConfig {
        /// `source:target[:options]`.
        pub binds: Option<Vec<String>>,
        /// Where the client writes the id.
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        /// Where its output goes.
        pub log_config: LogConfig,
        /// `default`, `bridge`, `host`, `none`, `container:ID` or a network.
        pub network_mode: String,
        /// Published ports.
        pub port_bindings: Option<PortMap>,
        /// What to do when it ends.
        pub restart_policy: RestartPolicy,
        /// Whether it is removed when it ends.
        pub auto_remove: bool,
        /// Driver of the volumes in `binds`.
        pub volume_driver: String,
        /// `container[:ro|rw]`.
        pub volumes_from: Option<Vec<String>>,
        /// Height and width of the terminal at first.
        pub console_size: [u32; 2],
        /// Free key-value pairs for the runtime.
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: Option<BTreeMap<String, String>>,
        /// Capabilities beyond the default ones.
        pub cap_add: Option<Vec<String>>,
        /// Default capabilities to take away.
        pub cap_drop: Option<Vec<String>>,
        /// `private` or `host`.
        pub cgroupns_mode: String,
        /// Name servers.
        pub dns: Option<Vec<String>>,
        /// Options of `resolv.conf`.
        pub dns_options: Option<Vec<String>>,
        /// Search domains.
        pub dns_search: Option<Vec<String>>,
        /// `host:address` lines of `/etc/hosts`.
        pub extra_hosts: Option<Vec<String>>,
        /// Additional groups of the process.
        pub group_add: Option<Vec<String>>,
        /// `private`, `shareable`, `host`, `none` or `container:ID`.
        pub ipc_mode: String,
        /// A cgroup to join.
        pub cgroup: String,
        /// Legacy links.
        pub links: Option<Vec<String>>,
        /// −1000 to 1000.
        pub oom_score_adj: i64,
        /// Empty, `host` or `container:ID`.
        pub pid_mode: String,
        /// Whether nearly nothing is forbidden.
        pub privileged: bool,
        /// Whether all exposed ports are published.
        pub publish_all_ports: bool,
        /// Whether the root file system is read-only.
        pub readonly_rootfs: bool,
        /// `no-new-privileges`, `seccomp=…`, `apparmor=…`, `label=…`.
        pub security_opt: Option<Vec<String>>,
        /// Options of the storage driver, such as `size`.
        #[serde(skip_serializing_if = "is_default")]
        pub storage_opt: Option<BTreeMap<String, String>>,
        /// Target to options.
        #[serde(skip_serializing_if = "is_default")]
        pub tmpfs: Option<BTreeMap<String, String>>,
        /// Empty or `host`.
        #[serde(rename = "UTSMode")]
        pub uts_mode: String,
        /// Empty or `host`.
        pub userns_mode: String,
        /// Bytes of `/dev/shm`.
        pub shm_size: i64,
        /// Kernel parameters.
        #[serde(skip_serializing_if = "is_default")]
        pub sysctls: Option<BTreeMap<String, String>>,
        /// Name of the OCI runtime.
        #[serde(skip_serializing_if = "is_default")]
        pub runtime: String,
        /// Windows only.
        pub isolation: String,
        /// Relative weight.
        pub cpu_shares: i64,
        /// Bytes.
        pub memory: i64,
        /// Billionths of a processor.
        pub nano_cpus: i64,
        /// The cgroup above the container's.
        pub cgroup_parent: String,
        /// 10 to 1000.
        pub blkio_weight: u16,
        /// The same for one device.
        pub blkio_weight_device: Option<Vec<BlkioWeight>>,
        /// Bytes per second.
        pub blkio_device_read_bps: Option<Vec<BlkioThrottle>>,
        /// Bytes per second.
        pub blkio_device_write_bps: Option<Vec<BlkioThrottle>>,
        /// Operations per second.
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Option<Vec<BlkioThrottle>>,
        /// Operations per second.
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Option<Vec<BlkioThrottle>>,
        /// Microseconds.
        pub cpu_period: i64,
        /// Microseconds.
        pub cpu_quota: i64,
        /// Microseconds.
        pub cpu_realtime_period: i64,
        /// Microseconds.
        pub cpu_realtime_runtime: i64,
        /// Such as `0-2,4`.
        pub cpuset_cpus: String,
        /// Such as `0-1`.
        pub cpuset_mems: String,
        /// Devices of the host.
        pub devices: Option<Vec<Device>>,
        /// Such as `c 13:* rwm`.
        pub device_cgroup_rules: Option<Vec<String>>,
        /// Devices by driver and capability (GPUs, CDI).
        pub device_requests: Option<Vec<DeviceRequest>>,
        /// Gone since API 1.42.
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_memory: i64,
        /// Bytes.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
        pub kernel_memory_tcp: i64,
        /// Bytes.
        pub memory_reservation: i64,
        /// Bytes of memory and swap together; −1 is unlimited.
        pub memory_swap: i64,
        /// 0 to 100.
        pub memory_swappiness: Option<i64>,
        /// Whether the kernel may not kill it when memory is short.
        pub oom_kill_disable: Option<bool>,
        /// 0 and −1 are unlimited.
        pub pids_limit: Option<i64>,
        /// Resource limits.
        pub ulimits: Option<Vec<Ulimit>>,
        /// Windows only.
        pub cpu_count: i64,
        /// Windows only.
        pub cpu_percent: i64,
        /// Windows only.
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        /// Windows only.
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
        /// Mounts in the long form.
        #[serde(skip_serializing_if = "is_default")]
        pub mounts: Option<Vec<Mount>>,
        /// Paths hidden from the container; `null` means the default ones.
        pub masked_paths: Option<Vec<String>>,
        /// Paths that cannot be written; `null` means the default ones.
        pub readonly_paths: Option<Vec<String>>,
        /// Whether an init process runs as pid 1.
        #[serde(skip_serializing_if = "is_default")]
        pub init: Option<bool>,
    }

    /// Where a container's output goes.
    pub struct LogConfig {
        /// The driver; empty means the engine's default.
        #[serde(rename = "Type")]
        pub kind: String,
        /// Its options.
        pub config: Option<BTreeMap<String, String>>,
    }

    /// What to do when a container ends.
    pub struct RestartPolicy {
        /// Empty, `no`, `always`, `unless-stopped` or `on-failure`.
        pub name: String,
        /// Of `on-failure`.
        pub maximum_retry_count: i64,
    }

    /// The weight of one device.
    pub struct BlkioWeight {
        /// Path on the host.
        pub path: String,
        /// 10 to 1000.
        pub weight: u16,
    }

    /// The limit of one device.
    pub struct BlkioThrottle {
        /// Path on the host.
        pub path: String,
        /// Per second.
        pub rate: u64,
    }

    /// A device of the host.
    pub struct Device {
        /// Path on the host.
        pub path_on_host: String,
        /// Path in the container.
        pub path_in_container: String,
        /// Of `rwm`.
        pub cgroup_permissions: String,
    }

    /// Devices by driver and capability.
    pub struct DeviceRequest {
        /// Such as `nvidia` or `cdi`.
        pub driver: String,
        /// −1 means all.
        pub count: i64,
        /// Ids of devices.
        #[serde(rename = "DeviceIDs")]
        pub device_ids: Option<Vec<String>>,
        /// An "or" list of "and" lists.
        pub capabilities: Option<Vec<Vec<String>>>,
        /// Options of the driver.
        pub options: Option<BTreeMap<String, String>>,
    }

    /// A resource limit.
    pub struct Ulimit {
        /// Such as `nofile`.
        pub name: String,
        /// −1 is unlimited.
        pub hard: i64,
        /// −1 is unlimited.
        pub soft: i64,
    }
}

impl Ulimit {
    /// The names of the limits, as `--ulimit` takes them (getrlimit(2), without
    /// `RLIMIT_`).
    pub const NAMES: [&'static str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
}
