//! What an engine is opened with: the daemon's options, as values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_api::Ulimit;
pub use gantry_image::LayerCompression;
pub use gantry_network::NetworkConfig;
use gantry_volume::{Patience, PluginFolders};

use crate::user_namespaces::IdMap;

/// The program that watches over one container (`gantry-shim`).
#[derive(Debug, Clone)]
pub enum ShimProgram {
    /// A file, read when the engine opens.
    Path(PathBuf),
    /// The program itself.
    Bytes(Vec<u8>),
}

/// The settings of an engine. [`EngineConfig::new`] fills in Docker's defaults.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Everything that lasts.
    pub data_root: PathBuf,
    /// Sockets and state of what runs; empty after a boot.
    pub exec_root: PathBuf,
    /// The program that watches over one container.
    pub shim_program: ShimProgram,
    /// The file that containers made with `--init` run first, where there is one.
    pub init_program: Option<PathBuf>,
    /// Whether containers that do not say have an init process.
    pub init: bool,
    /// What gives the program of the image `gantry/hello`, where there is one.
    pub hello_program: Option<fn() -> std::io::Result<Vec<u8>>>,
    /// `overlay2` (or `overlay`) and `vfs`; the former when not given.
    pub storage_driver: Option<String>,
    /// The cgroup below which containers get theirs.
    pub cgroup_parent: String,
    /// Microseconds of the period of `realtime_runtime`; 0 leaves the kernel's.
    pub realtime_period: u64,
    /// Microseconds for real-time tasks of all containers; 0 leaves them none.
    pub realtime_runtime: i64,
    /// Whether systemd makes the cgroups; `cgroup_parent` is a slice then.
    pub systemd_cgroup: bool,
    /// The options of the default networks.
    pub network: NetworkConfig,
    /// The log driver of containers that name none.
    pub log_driver: String,
    /// The options of containers that name no log driver.
    pub log_opts: BTreeMap<String, String>,
    /// Bytes of `/dev/shm` for containers that do not say.
    pub shm_size: u64,
    /// How much containers may write that do not say, as a size.
    pub storage_size: Option<String>,
    /// The IPC mode of containers that do not say.
    pub ipc_mode: String,
    /// Their cgroup namespace: `host` or `private`; when not given, private where
    /// cgroups are unified.
    pub cgroupns_mode: Option<String>,
    /// Limits for containers that do not name them.
    pub default_ulimits: Vec<Ulimit>,
    /// Whether `no-new-privileges` is set for containers that do not say.
    pub no_new_privileges: bool,
    /// The seccomp profile (JSON) for containers that name none, or `unconfined`;
    /// the built-in one when not given.
    pub seccomp_profile: Option<String>,
    /// Where that profile is from, as `info` shows it.
    pub seccomp_source: Option<String>,
    /// The ids of containers that do not say; without it they have the host's.
    pub userns_remap: Option<IdMap>,
    /// Seconds that `stop` waits before it kills.
    pub stop_timeout: i64,
    /// How many files a container's processes may have open (the soft limit)
    /// where neither it nor `default_ulimits` say; the daemon's own when `None`.
    pub open_files: Option<u64>,
    /// How many layers of all pulls together come at a time.
    pub concurrent_downloads: usize,
    /// How many layers of all pushes together leave at a time.
    pub concurrent_uploads: usize,
    /// How layers are packed; as they are here, and with zstd, when nothing is said.
    pub layer_compression: Option<LayerCompression>,
    /// How registries are spoken to.
    pub registries: gantry_registry::Config,
    /// Which images must be signed, beyond what the trust directory says.
    pub trust_policy: Vec<gantry_trust::Rule>,
    /// Which images the engine removes by itself; none when not given.
    pub image_gc: Option<crate::images::ImageGc>,
    /// What is decided about builds.
    pub builds: crate::builds::BuildPolicy,
    /// Where volume plug-ins are, and how long they may take.
    pub volume_plugins: (PluginFolders, Patience),
    /// The daemon's labels (`key=value`), shown by `info`.
    pub labels: Vec<String>,
    /// Whether `info` says that the daemon debugs.
    pub debug: bool,
    /// Whether clients are told that experimental features are on.
    pub experimental: bool,
    /// How many shims wait for a container to start; 0 starts each when it is needed.
    pub warm_shims: usize,
}

impl EngineConfig {
    /// Docker's defaults for these directories.
    pub fn new(data_root: PathBuf, exec_root: PathBuf, shim_program: ShimProgram) -> Self {
        Self {
            data_root,
            exec_root,
            shim_program,
            init_program: None,
            init: false,
            hello_program: None,
            storage_driver: None,
            cgroup_parent: "/gantry".to_owned(),
            realtime_period: 0,
            realtime_runtime: 0,
            systemd_cgroup: false,
            network: NetworkConfig::default(),
            log_driver: "json-file".to_owned(),
            log_opts: BTreeMap::new(),
            shm_size: 64 << 20,
            storage_size: None,
            ipc_mode: "private".to_owned(),
            cgroupns_mode: None,
            default_ulimits: Vec::new(),
            no_new_privileges: false,
            seccomp_profile: None,
            seccomp_source: None,
            userns_remap: None,
            stop_timeout: 10,
            open_files: None,
            concurrent_downloads: 3,
            concurrent_uploads: 5,
            layer_compression: None,
            registries: gantry_registry::Config::default(),
            trust_policy: Vec::new(),
            image_gc: None,
            builds: crate::builds::BuildPolicy::default(),
            volume_plugins: Default::default(),
            labels: Vec::new(),
            debug: false,
            experimental: false,
            warm_shims: 4,
        }
    }
}
