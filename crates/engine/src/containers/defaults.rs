//! What Docker fills into a `HostConfig` that leaves it open, and `inspect` shows.

use std::collections::BTreeMap;

use gantry_api::HostConfig;

use super::Settings;

/// Fills in the defaults.
pub(crate) fn fill(host: &mut HostConfig, settings: &Settings) {
    default(&mut host.network_mode, "default", "bridge");
    if host.network_mode.is_empty() {
        "bridge".clone_into(&mut host.network_mode);
    }
    default(&mut host.restart_policy.name, "", "no");
    default(&mut host.ipc_mode, "", &settings.ipc_mode);
    default(&mut host.runtime, "", "gantry");
    if host.cgroupns_mode.is_empty() {
        // As Docker: private where cgroups are unified, else the host's.
        let private = match settings.cgroupns_mode.as_deref() {
            _ if host.privileged && !settings.host.cgroup_v2 => false,
            Some(mode) => mode == "private",
            None => settings.host.cgroup_v2,
        };
        let mode = if private { "private" } else { "host" };
        mode.clone_into(&mut host.cgroupns_mode);
    }
    // Gone since API 1.42, and meaningless to kernels of today.
    host.kernel_memory = 0;
    if host.shm_size == 0 && host.ipc_mode != "host" {
        host.shm_size = i64::try_from(settings.shm_size).unwrap_or(i64::MAX);
    }
    if let Some(size) = &settings.storage_size
        && host.storage_opt.is_none()
    {
        host.storage_opt = Some(BTreeMap::from([("size".to_owned(), size.clone())]));
    }
    log(host, settings);
    memory_and_limits(host);
    confinement(host);
}

/// The paths that are hidden or cannot be written; a privileged container has
/// none, and no label, which Docker shows.
fn confinement(host: &mut HostConfig) {
    if host.privileged {
        (host.masked_paths, host.readonly_paths) = (None, None);
        let options = host.security_opt.get_or_insert_default();
        if !options.iter().any(|option| option == "label=disable") {
            options.push("label=disable".to_owned());
        }
        return;
    }
    host.masked_paths
        .get_or_insert_with(gantry_runtime::defaults::masked_paths);
    let read_only = gantry_runtime::defaults::READONLY_PATHS;
    host.readonly_paths
        .get_or_insert_with(|| read_only.map(str::to_owned).to_vec());
}

fn default(field: &mut String, when: &str, value: &str) {
    if field == when {
        value.clone_into(field);
    }
}

fn log(host: &mut HostConfig, settings: &Settings) {
    let log = &mut host.log_config;
    if log.kind.is_empty() {
        log.kind.clone_from(&settings.log_driver);
    }
    let given = log.config.get_or_insert_with(BTreeMap::new);
    if log.kind == settings.log_driver {
        for (key, value) in &settings.log_opts {
            given.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

fn memory_and_limits(host: &mut HostConfig) {
    // As much swap as memory, unless something else is asked for.
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if host.pids_limit.is_some_and(|limit| limit <= 0) {
        host.pids_limit = None;
    }
    if host.memory_swappiness == Some(-1) {
        host.memory_swappiness = None;
    }
    host.oom_kill_disable.get_or_insert(false);
}
