//! What the runtime is told: the OCI spec of a container, made from its record
//! alone, and the compiled seccomp filter beside it.
//!
//! One module for each part: process (and its capabilities), mounts, devices,
//! cgroup (limits), security options, seccomp.

mod capabilities;
mod cgroup;
mod devices;
mod mounts;
mod process;
mod seccomp;
mod security;
mod tmpfs;

use std::path::{Path, PathBuf};

use gantry_api::{HostConfig, Ulimit};
use gantry_runtime::oci::{Linux, LinuxNamespace, LinuxNamespaceType, Root, Spec};

pub(crate) use process::{every_capability, exec_environment, process};
pub(crate) use seccomp::filter as seccomp_filter;
pub(crate) use security::{Security, parse as security};

use super::record::Record;
use crate::error::Result;

/// The version of the OCI runtime specification that the spec follows.
const OCI_VERSION: &str = "1.2.0";

/// What a spec is made from.
pub(crate) struct SpecInput<'a> {
    pub(crate) record: &'a Record,
    /// The container's directory, with its three network files.
    pub(crate) dir: &'a Path,
    /// Whether it has a network namespace of its own.
    pub(crate) own_network: bool,
    pub(crate) cgroup: PathBuf,
    pub(crate) default_ulimits: &'a [Ulimit],
    pub(crate) no_new_privileges: bool,
}

/// Checks the parts of a request that end up in the spec.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn check(host: &HostConfig) -> Result<Security> {
    capabilities::check(host)?;
    tmpfs::check(host)?;
    security::parse(host)
}

/// Makes the spec.
///
/// # Errors
/// `Invalid` for values that were not checked at creation.
pub(crate) fn of(input: &SpecInput<'_>) -> Result<Spec> {
    let record = input.record;
    let host = &record.host_config;
    let mut spec = Spec {
        version: OCI_VERSION.to_owned(),
        root: Some(Root {
            path: PathBuf::from("rootfs"),
            readonly: host.readonly_rootfs,
        }),
        process: Some(process(
            record,
            input.default_ulimits,
            input.no_new_privileges,
        )?),
        mounts: mounts::mounts(input)?,
        annotations: host.annotations.clone().unwrap_or_default(),
        linux: Some(linux(input)),
        ..Spec::default()
    };
    if host.uts_mode != "host" {
        spec.hostname = Some(record.config.hostname.clone());
        if !record.config.domainname.is_empty() {
            spec.domainname = Some(record.config.domainname.clone());
        }
    }
    Ok(spec)
}

fn linux(input: &SpecInput<'_>) -> Linux {
    let host = &input.record.host_config;
    let (nodes, rules) = devices::devices(host);
    Linux {
        namespaces: namespaces(input),
        cgroups_path: Some(input.cgroup.clone()),
        resources: Some(cgroup::resources(host, rules)),
        devices: nodes,
        // Those that Docker sets in every network namespace, the sandbox has already.
        sysctl: host.sysctls.clone().unwrap_or_default(),
        masked_paths: host.masked_paths.clone().unwrap_or_default(),
        readonly_paths: host.readonly_paths.clone().unwrap_or_default(),
        rootfs_propagation: mounts::root_propagation(input.record),
        ..Linux::default()
    }
}

fn namespaces(input: &SpecInput<'_>) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType as T;
    let host = &input.record.host_config;
    let wanted = [
        (T::Mount, true),
        (T::Pid, host.pid_mode != "host"),
        (T::Ipc, host.ipc_mode != "host"),
        (T::Uts, host.uts_mode != "host"),
        (T::Network, input.own_network),
        (T::Cgroup, host.cgroupns_mode == "private"),
    ];
    wanted
        .into_iter()
        .filter(|(_, own)| *own)
        .map(|(kind, _)| LinuxNamespace { kind, path: None })
        .collect()
}
