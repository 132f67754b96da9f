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
use gantry_runtime::oci::{
    Linux, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, Root, Spec,
};

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
    let mut root = Root::default();
    root.set_path(PathBuf::from("rootfs"))
        .set_readonly(Some(host.readonly_rootfs));
    let mut spec = Spec::default();
    spec.set_version(OCI_VERSION.to_owned())
        .set_root(Some(root))
        .set_process(Some(process::process(input)?))
        .set_mounts(Some(mounts::mounts(input)?))
        .set_hostname(None)
        .set_annotations(annotations(host))
        .set_linux(Some(linux(input)));
    if host.uts_mode != "host" {
        spec.set_hostname(Some(record.config.hostname.clone()));
        if !record.config.domainname.is_empty() {
            spec.set_domainname(Some(record.config.domainname.clone()));
        }
    }
    Ok(spec)
}

fn annotations(host: &HostConfig) -> Option<std::collections::HashMap<String, String>> {
    let given = host.annotations.clone()?;
    Some(given.into_iter().collect())
}

fn linux(input: &SpecInput<'_>) -> Linux {
    let host = &input.record.host_config;
    let (nodes, rules) = devices::devices(host);
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces(input)))
        .set_cgroups_path(Some(input.cgroup.clone()))
        .set_resources(Some(cgroup::resources(host, rules)))
        .set_devices(Some(nodes))
        .set_sysctl(Some(sysctls(host)))
        .set_masked_paths(host.masked_paths.clone())
        .set_readonly_paths(host.readonly_paths.clone())
        .set_rootfs_propagation(mounts::root_propagation(input.record))
        .set_seccomp(None);
    linux
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
        .filter_map(|(kind, _)| LinuxNamespaceBuilder::default().typ(kind).build().ok())
        .collect()
}

/// The container's sysctls. Those that Docker sets in every network namespace,
/// the sandbox has already.
fn sysctls(host: &HostConfig) -> std::collections::HashMap<String, String> {
    let given = host.sysctls.iter().flatten();
    given.map(|(k, v)| (k.clone(), v.clone())).collect()
}
