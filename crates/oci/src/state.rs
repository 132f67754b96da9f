//! What a runtime says: the state of a container, and what it can do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    Arch, LinuxNamespaceType, LinuxSeccompAction, LinuxSeccompFilterFlag, LinuxSeccompOperator,
};

/// The state of a container, as `state` prints it and hooks read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// The version of the specification.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// `creating`, `created`, `running` or `stopped`.
    pub status: String,
    /// Its first process, 0 if there is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub pid: i32,
    /// The bundle directory.
    pub bundle: PathBuf,
    /// The spec's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

fn is_zero(pid: &i32) -> bool {
    *pid == 0
}

/// What a runtime can do: the features document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Features {
    /// The oldest version that is understood.
    pub oci_version_min: String,
    /// The newest.
    pub oci_version_max: String,
    /// Hooks by name.
    pub hooks: Vec<String>,
    /// Mount options by name.
    pub mount_options: Vec<String>,
    /// What is special to Linux.
    pub linux: LinuxFeatures,
    /// More words about the runtime.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Annotations of specs that can undermine the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub potentially_unsafe_config_annotations: Vec<String>,
}

/// What is special to Linux in [`Features`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinuxFeatures {
    /// Namespaces by name.
    pub namespaces: Vec<LinuxNamespaceType>,
    /// Capabilities by name.
    pub capabilities: Vec<String>,
    /// Cgroups.
    pub cgroup: CgroupFeatures,
    /// Filters of system calls.
    pub seccomp: SeccompFeatures,
    /// AppArmor.
    pub apparmor: Switch,
    /// SELinux.
    pub selinux: Switch,
    /// Shares of caches.
    pub intel_rdt: Switch,
    /// Mounts.
    pub mount_extensions: MountExtensions,
}

/// Whether there is something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switch {
    /// There is.
    pub enabled: bool,
}

/// What is possible with cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CgroupFeatures {
    /// The old hierarchies.
    pub v1: bool,
    /// The unified hierarchy.
    pub v2: bool,
    /// systemd makes them.
    pub systemd: bool,
    /// A user's own systemd does.
    pub systemd_user: bool,
    /// Limits of RDMA.
    pub rdma: bool,
}

/// What is possible with filters of system calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompFeatures {
    /// There are any.
    pub enabled: bool,
    /// Actions by name.
    pub actions: Vec<LinuxSeccompAction>,
    /// Comparisons by name.
    pub operators: Vec<LinuxSeccompOperator>,
    /// Architectures by name.
    pub archs: Vec<Arch>,
    /// Flags that are understood.
    pub known_flags: Vec<LinuxSeccompFilterFlag>,
    /// Flags that the kernel has too.
    pub supported_flags: Vec<LinuxSeccompFilterFlag>,
}

/// What is possible with mounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountExtensions {
    /// Mounts that show other ids.
    pub idmap: IdmapFeatures,
}

/// Mounts that show other ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdmapFeatures {
    /// There are.
    pub enabled: bool,
}
