//! `GET /version` and `GET /info`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::body::is_default;

body! {
    /// What the engine is.
    pub struct Version {
        /// The product.
        pub platform: Platform,
        /// The engine and what it is made of.
        pub components: Vec<Component>,
        /// Of the engine.
        pub version: String,
        /// The newest API it speaks.
        pub api_version: String,
        /// The oldest API it speaks.
        #[serde(rename = "MinAPIVersion")]
        pub min_api_version: String,
        /// The commit it was built from.
        pub git_commit: String,
        /// Of the compiler (clients expect the name).
        pub go_version: String,
        /// Always `linux`.
        pub os: String,
        /// `GOARCH`.
        pub arch: String,
        /// `uname -r`.
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_version: String,
        /// Whether experimental features are on.
        #[serde(skip_serializing_if = "is_default")]
        pub experimental: bool,
        /// RFC 3339.
        #[serde(skip_serializing_if = "is_default")]
        pub build_time: String,
    }

    /// The product.
    pub struct Platform {
        /// For people.
        pub name: String,
    }

    /// A part of the engine.
    pub struct Component {
        /// `Engine` and so on.
        pub name: String,
        /// Of the part.
        pub version: String,
        /// Free key-value pairs.
        #[serde(skip_serializing_if = "is_default")]
        pub details: Option<BTreeMap<String, String>>,
    }

    /// What the engine has and does.
    pub struct Info {
        /// Of the engine, kept for ever.
        #[serde(rename = "ID")]
        pub id: String,
        /// All of them.
        pub containers: i64,
        /// Running ones.
        pub containers_running: i64,
        /// Paused ones.
        pub containers_paused: i64,
        /// All others.
        pub containers_stopped: i64,
        /// All of them.
        pub images: i64,
        /// The storage driver.
        pub driver: String,
        /// Pairs for people.
        pub driver_status: Vec<[String; 2]>,
        /// Names of drivers.
        pub plugins: Plugins,
        /// A limit that works here.
        pub memory_limit: bool,
        /// A limit that works here.
        pub swap_limit: bool,
        /// Before API 1.42: a limit that works here.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub kernel_memory: Option<bool>,
        /// A limit that works here.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
        pub kernel_memory_tcp: bool,
        /// A limit that works here.
        pub cpu_cfs_period: bool,
        /// A limit that works here.
        pub cpu_cfs_quota: bool,
        /// A limit that works here.
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        /// A limit that works here.
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        /// A limit that works here.
        pub pids_limit: bool,
        /// Whether the host forwards.
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Whether debug output is on.
        pub debug: bool,
        /// Open files of the engine.
        #[serde(rename = "NFd")]
        pub n_fd: i64,
        /// A limit that works here.
        pub oom_kill_disable: bool,
        /// Threads of the engine (clients expect the name).
        pub n_goroutines: i64,
        /// RFC 3339.
        pub system_time: String,
        /// The default one.
        pub logging_driver: String,
        /// How its files rotate when a container does not say (not in Docker).
        #[serde(skip_serializing_if = "is_default")]
        pub log_rotation: String,
        /// `cgroupfs` or `systemd`.
        pub cgroup_driver: String,
        /// `1` or `2`.
        #[serde(skip_serializing_if = "is_default")]
        pub cgroup_version: String,
        /// Clients of `GET /events`.
        pub n_events_listener: i64,
        /// `uname -r`.
        pub kernel_version: String,
        /// From `/etc/os-release`.
        pub operating_system: String,
        /// From `/etc/os-release`.
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        /// Always `linux`.
        #[serde(rename = "OSType")]
        pub os_type: String,
        /// `uname -m`.
        pub architecture: String,
        /// Of the default registry.
        pub index_server_address: String,
        /// How registries are reached.
        pub registry_config: Option<RegistryConfig>,
        /// Processors.
        #[serde(rename = "NCPU")]
        pub ncpu: i64,
        /// Bytes.
        pub mem_total: i64,
        /// Swarm only.
        pub generic_resources: Option<Vec<serde_json::Value>>,
        /// The data root.
        pub docker_root_dir: String,
        /// For pulls.
        pub http_proxy: String,
        /// For pulls.
        pub https_proxy: String,
        /// For pulls.
        pub no_proxy: String,
        /// Of the host.
        pub name: String,
        /// `KEY=value` of the engine.
        pub labels: Vec<String>,
        /// Whether experimental features are on.
        pub experimental_build: bool,
        /// Of the engine.
        pub server_version: String,
        /// OCI runtimes by name.
        pub runtimes: BTreeMap<String, RuntimeInfo>,
        /// Of `runtimes`.
        pub default_runtime: String,
        /// Clustering.
        pub swarm: SwarmInfo,
        /// Whether containers outlive the engine.
        pub live_restore_enabled: bool,
        /// Windows only.
        pub isolation: String,
        /// The program behind `--init`.
        pub init_binary: String,
        /// Of containerd.
        pub containerd_commit: Commit,
        /// Of runc.
        pub runc_commit: Commit,
        /// Of the init program.
        pub init_commit: Commit,
        /// `name=seccomp,profile=builtin` and so on.
        pub security_options: Vec<String>,
        /// Before API 1.50: whether bridged packets are filtered.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge_nf_iptables: Option<bool>,
        /// The same for IPv6.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge_nf_ip6tables: Option<bool>,
        /// What makes the packet rules.
        #[serde(skip_serializing_if = "is_default")]
        pub firewall_backend: Option<FirewallInfo>,
        /// Where CDI specifications are looked for.
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Option<Vec<String>>,
        /// Which containerd is used.
        #[serde(skip_serializing_if = "is_default")]
        pub containerd: Option<ContainerdInfo>,
        /// For people; `null` when there are none.
        pub warnings: Option<Vec<String>>,
    }

    /// Names of drivers.
    pub struct Plugins {
        /// Of volumes.
        pub volume: Vec<String>,
        /// Of networks.
        pub network: Vec<String>,
        /// Of requests; `null` when there are none.
        pub authorization: Option<Vec<String>>,
        /// Of logs.
        pub log: Vec<String>,
    }

    /// How registries are reached.
    pub struct RegistryConfig {
        /// By host.
        pub index_configs: BTreeMap<String, RegistryIndex>,
        /// Networks without TLS.
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        /// Of the default registry; `null` when there are none.
        pub mirrors: Option<Vec<String>>,
    }

    /// One registry.
    pub struct RegistryIndex {
        /// Of this registry.
        pub mirrors: Vec<String>,
        /// Host and port.
        pub name: String,
        /// Whether it is Docker Hub.
        pub official: bool,
        /// Whether TLS is verified.
        pub secure: bool,
    }

    /// Clustering.
    pub struct SwarmInfo {
        /// Empty outside a swarm.
        #[serde(rename = "NodeID")]
        pub node_id: String,
        /// Empty outside a swarm.
        pub node_addr: String,
        /// `inactive`.
        pub local_node_state: String,
        /// Whether this node is a manager.
        pub control_available: bool,
        /// Why it does not work.
        pub error: String,
        /// Managers.
        pub remote_managers: Option<Vec<serde_json::Value>>,
    }

    /// The commit of a program.
    pub struct Commit {
        /// Empty when unknown.
        #[serde(rename = "ID")]
        pub id: String,
        /// The same, for clients before API 1.49.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub expected: Option<String>,
    }

    /// What makes the packet rules.
    pub struct FirewallInfo {
        /// `nftables`, `iptables` …
        pub driver: String,
        /// Pairs for people.
        #[serde(skip_serializing_if = "is_default")]
        pub info: Option<Vec<[String; 2]>>,
    }

    /// Which containerd is used.
    pub struct ContainerdInfo {
        /// Its socket.
        #[serde(skip_serializing_if = "is_default")]
        pub address: String,
        /// In it.
        pub namespaces: Namespaces,
    }

    /// Namespaces of containerd.
    pub struct Namespaces {
        /// Of containers.
        pub containers: String,
        /// Of plug-ins.
        pub plugins: String,
    }
}

/// An OCI runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeInfo {
    /// The program.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// Arguments of every call.
    #[serde(rename = "runtimeArgs", skip_serializing_if = "is_default")]
    pub runtime_args: Vec<String>,
    /// What it says about itself.
    #[serde(skip_serializing_if = "is_default")]
    pub status: BTreeMap<String, String>,
}
