//! `GET /containers/{id}/json`.

use std::collections::BTreeMap;

use super::{Config, HostConfig};
use crate::NetworkSettings;
use crate::body::is_default;

body! {
    /// Everything about one container.
    pub struct ContainerInspect {
        /// All 64 digits.
        pub id: String,
        /// RFC 3339.
        pub created: String,
        /// The program.
        pub path: String,
        /// Its arguments.
        pub args: Vec<String>,
        /// What it is doing.
        pub state: ContainerState,
        /// The image's id.
        pub image: String,
        /// On the host.
        pub resolv_conf_path: String,
        /// On the host.
        pub hostname_path: String,
        /// On the host.
        pub hosts_path: String,
        /// On the host; empty when the log driver has no file.
        pub log_path: String,
        /// With a leading slash.
        pub name: String,
        /// By the restart policy.
        pub restart_count: i64,
        /// The storage driver.
        pub driver: String,
        /// Always `linux`.
        pub platform: String,
        /// SELinux.
        pub mount_label: String,
        /// SELinux.
        pub process_label: String,
        /// AppArmor.
        pub app_armor_profile: String,
        /// Execs that are still known, `null` when there are none.
        #[serde(rename = "ExecIDs")]
        pub exec_ids: Option<Vec<String>>,
        /// How it runs on this host.
        pub host_config: HostConfig,
        /// Where its files are.
        pub graph_driver: GraphDriver,
        /// Bytes written; only when asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub size_rw: Option<i64>,
        /// Bytes of all its files; only when asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub size_root_fs: Option<i64>,
        /// What is mounted.
        pub mounts: Vec<MountPoint>,
        /// What it runs.
        pub config: Config,
        /// Its networks.
        pub network_settings: NetworkSettings,
    }

    /// What a container is doing.
    pub struct ContainerState {
        /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        pub status: String,
        /// Also while paused.
        pub running: bool,
        /// Whether it is frozen.
        pub paused: bool,
        /// Whether it waits to be started again.
        pub restarting: bool,
        /// Whether the kernel killed it for want of memory.
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        /// Whether its removal failed.
        pub dead: bool,
        /// On the host; 0 when it does not run.
        pub pid: i64,
        /// Of its last run.
        pub exit_code: i64,
        /// Why it could not start.
        pub error: String,
        /// RFC 3339.
        pub started_at: String,
        /// RFC 3339.
        pub finished_at: String,
        /// Whether it is well, where that is checked.
        #[serde(skip_serializing_if = "is_default")]
        pub health: Option<HealthState>,
    }

    /// Whether a container is well.
    pub struct HealthState {
        /// `starting`, `healthy` or `unhealthy`.
        pub status: String,
        /// Failures in a row.
        pub failing_streak: i64,
        /// The last probes.
        pub log: Option<Vec<HealthLog>>,
    }

    /// One probe.
    pub struct HealthLog {
        /// RFC 3339.
        pub start: String,
        /// RFC 3339.
        pub end: String,
        /// Of the probe.
        pub exit_code: i64,
        /// Of the probe.
        pub output: String,
    }

    /// Where files are.
    pub struct GraphDriver {
        /// Paths, by the driver's names for them.
        pub data: Option<BTreeMap<String, String>>,
        /// The driver.
        pub name: String,
    }

    /// Something mounted in a container.
    pub struct MountPoint {
        /// `bind`, `volume`, `tmpfs` or `image`.
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: String,
        /// Of the volume.
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        /// On the host.
        pub source: String,
        /// In the container.
        pub destination: String,
        /// Of the volume.
        #[serde(skip_serializing_if = "is_default")]
        pub driver: String,
        /// The options as the user wrote them.
        pub mode: String,
        /// Whether it can be written.
        #[serde(rename = "RW")]
        pub rw: bool,
        /// `rprivate` and so on.
        pub propagation: String,
    }
}
