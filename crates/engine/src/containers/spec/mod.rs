//! What the runtime is told: the OCI spec of a container, made from its record
//! alone, and the compiled seccomp filter beside it.
//!
//! One module for each part: process (and its capabilities), mounts, devices,
//! cgroup (limits), security options, seccomp, and what every root file system has.

mod capabilities;
mod cgroup;
mod devices;
mod mounts;
mod process;
mod scaffold;
mod seccomp;
mod security;
mod sysctl;
mod tmpfs;

use std::path::{Path, PathBuf};

use gantry_api::{HostConfig, Ulimit};
use gantry_runtime::oci::{Linux, LinuxNamespace, LinuxNamespaceType, Process, Root, Spec};

pub(crate) use cgroup::{changes, check_shares, too_few_or_many_shares};
pub(crate) use mounts::NAME_FILES;
pub(crate) use process::{every_capability, exec_environment, process};
pub(crate) use scaffold::{MTAB, scaffold, scaffold_layer};
pub(crate) use seccomp::filter as seccomp_filter;
pub(crate) use security::{Security, parse as security};
pub(crate) use tmpfs::options as tmpfs_options;

use super::block_io;
use super::joined::Joined;
use super::record::Record;
use crate::error::Result;

/// Where a container sees its init program.
const INIT: &str = "/sbin/docker-init";

/// The version of the OCI runtime specification that the spec follows.
const OCI_VERSION: &str = "1.2.0";

/// What a spec is made from.
pub(crate) struct SpecInput<'a> {
    pub(crate) record: &'a Record,
    /// The container's directory, with its three network files.
    pub(crate) dir: &'a Path,
    /// Variables that tell of linked containers.
    pub(crate) links: &'a [String],
    /// The mounts of its volumes and images.
    pub(crate) volumes: &'a [gantry_runtime::oci::Mount],
    /// Whether it has a network namespace of its own.
    pub(crate) own_network: bool,
    pub(crate) cgroup: PathBuf,
    pub(crate) default_ulimits: &'a [Ulimit],
    pub(crate) no_new_privileges: bool,
    /// Whether it may write to its cgroups.
    pub(crate) writable_cgroups: bool,
    /// The init program on this host, if its first process is to be that.
    pub(crate) init: Option<&'a Path>,
    /// Whose namespaces it shares.
    pub(crate) joined: Joined,
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
    sysctl::check_namespaces(host, &record.config.domainname, input.own_network)?;
    let mut spec = Spec {
        version: OCI_VERSION.to_owned(),
        root: Some(Root {
            path: PathBuf::from("rootfs"),
            readonly: host.readonly_rootfs,
        }),
        process: Some(first_process(input)?),
        mounts: mounts::mounts(input)?,
        annotations: host.annotations.clone().unwrap_or_default(),
        linux: Some(linux(input)?),
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

fn first_process(input: &SpecInput<'_>) -> Result<Process> {
    let mut process = process(
        input.record,
        input.links,
        input.default_ulimits,
        input.no_new_privileges,
    )?;
    if input.init.is_some() {
        process
            .args
            .splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    Ok(process)
}

fn linux(input: &SpecInput<'_>) -> Result<Linux> {
    let host = &input.record.host_config;
    let (nodes, rules) = devices::devices(host)?;
    let map = input.record.id_map.as_ref();
    Ok(Linux {
        uid_mappings: map.map(|map| map.uids.clone()).unwrap_or_default(),
        gid_mappings: map.map(|map| map.gids.clone()).unwrap_or_default(),
        namespaces: namespaces(input),
        cgroups_path: Some(input.cgroup.clone()),
        resources: Some(cgroup::resources(host, rules, block_io::of(host)?)),
        devices: nodes,
        // Those that Docker sets in every network namespace, the sandbox has already.
        sysctl: host.sysctls.clone().unwrap_or_default(),
        masked_paths: host.masked_paths.clone().unwrap_or_default(),
        readonly_paths: host.readonly_paths.clone().unwrap_or_default(),
        rootfs_propagation: mounts::root_propagation(input.record),
        ..Linux::default()
    })
}

fn namespaces(input: &SpecInput<'_>) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType as T;
    let host = &input.record.host_config;
    let wanted = [
        (T::Mount, true, None),
        (T::Pid, host.pid_mode != "host", input.joined.pid),
        (T::Ipc, host.ipc_mode != "host", input.joined.ipc),
        (T::Uts, host.uts_mode != "host", None),
        (T::Network, input.own_network, None),
        (T::Cgroup, host.cgroupns_mode == "private", None),
        (T::User, input.record.id_map.is_some(), None),
    ];
    let name = |kind| match kind {
        T::Pid => "pid",
        _ => "ipc",
    };
    wanted
        .into_iter()
        .filter(|(_, own, _)| *own)
        .map(|(kind, _, donor)| LinuxNamespace {
            kind,
            path: donor.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/{}", name(kind)))),
        })
        .collect()
}
