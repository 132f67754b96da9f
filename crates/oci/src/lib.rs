//! The documents of the OCI runtime specification 1.2 for Linux: `config.json`,
//! the state document and the features document, as plain structs.
//!
//! What a document leaves out is `None`, empty or zero; what is empty is not
//! written, as Go's runtimes do it. Unknown fields are passed over, as the
//! specification demands. Nothing here checks what a document asks for.
//!
//! ```text
//! spec.rs       the whole, root, mounts, hooks     resources.rs  limits (cgroups)
//! process.rs    user, capabilities, rlimits, …     seccomp.rs    the filter
//! linux.rs      namespaces, id maps, devices, …    state.rs      state, features
//! ```

mod linux;
mod process;
mod resources;
mod seccomp;
mod spec;
mod state;

pub use linux::{
    Linux, LinuxDevice, LinuxDeviceType, LinuxIdMapping, LinuxIntelRdt, LinuxNamespace,
    LinuxNamespaceType, LinuxPersonality, LinuxPersonalityDomain, LinuxTimeOffset,
};
pub use process::{
    ConsoleSize, ExecCpuAffinity, IoPriority, IoPriorityClass, LinuxCapabilities, PosixRlimit,
    PosixRlimitType, Process, Scheduler, SchedulerFlag, SchedulerPolicy, User,
};
pub use resources::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxHugepageLimit, LinuxInterfacePriority,
    LinuxMemory, LinuxNetwork, LinuxPids, LinuxRdma, LinuxResources, LinuxThrottleDevice,
    LinuxWeightDevice,
};
pub use seccomp::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
pub use spec::{Hook, Hooks, Mount, Root, Spec};
pub use state::{
    CgroupFeatures, Features, IdmapFeatures, LinuxFeatures, MountExtensions, SeccompFeatures,
    State, Switch,
};

use serde::{Deserialize, Deserializer};

/// Reads a list or map that may be `null`, as Go writes one that was never made.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Whether a switch is off, and need not be written.
fn is_off(switch: &bool) -> bool {
    !switch
}
