//! What clients of older versions of the API mean by a container they create:
//! fields that came later are not theirs, and some defaults were others.

use std::path::Path;

use gantry_api::{ApiVersion, Config, ContainerCreate, HostConfig};

use crate::error::{Failure, Result};

/// Refuses what clients of that version cannot mean.
///
/// # Errors
/// A container in several networks, before API 1.44.
pub(super) fn check(request: &ContainerCreate, version: ApiVersion) -> Result<()> {
    let networks = request.networking_config.endpoints_config.iter().flatten();
    let names: Vec<&str> = networks.map(|(name, _)| name.as_str()).collect();
    if version < ApiVersion::new(1, 44) && names.len() > 1 {
        return Err(Failure::invalid(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        )));
    }
    Ok(())
}

/// Puts a request into the words of the newest version.
pub(super) fn modernize(config: &mut Config, host: &mut HostConfig, version: ApiVersion) {
    let before = |minor| version < ApiVersion::new(1, minor);
    if before(40) {
        if host.ipc_mode.is_empty() {
            host.ipc_mode = "shareable".to_owned();
        }
        for mount in host.mounts.iter_mut().flatten() {
            if let Some(options) = &mut mount.bind_options {
                options.non_recursive = false;
            }
        }
    }
    if before(41) && host.cgroupns_mode.is_empty() && !is_unified() {
        host.cgroupns_mode = "host".to_owned();
    }
    if before(42) {
        host.console_size = [0, 0];
        for mount in host.mounts.iter_mut().flatten() {
            if let Some(options) = &mut mount.bind_options {
                options.create_mountpoint = false;
            }
        }
    } else {
        // Gone: newer clients do not mean it.
        host.kernel_memory = 0;
    }
    if before(43) {
        host.annotations = None;
    }
    if before(44)
        && let Some(check) = &mut config.healthcheck
    {
        check.start_interval = 0;
    }
}

/// The same of an update.
pub(super) fn modernize_update(host: &mut HostConfig, version: ApiVersion) {
    if version < ApiVersion::new(1, 40) {
        host.pids_limit = None;
    }
}

/// Whether there is only the new kind of control groups.
fn is_unified() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn host() -> HostConfig {
        HostConfig {
            console_size: [24, 80],
            kernel_memory: 1,
            annotations: Some(BTreeMap::new()),
            ..HostConfig::default()
        }
    }

    #[test]
    fn later_fields_are_not_theirs() {
        let mut old = host();
        let json = r#"{"Healthcheck":{"Interval":1,"StartInterval":1}}"#;
        let mut config: Config = serde_json::from_str(json).unwrap();
        modernize(&mut config, &mut old, ApiVersion::MIN);
        assert_eq!(old.ipc_mode, "shareable");
        assert_eq!((old.console_size, old.kernel_memory), ([0, 0], 1));
        assert_eq!(old.annotations, None);
        let check = config.healthcheck.unwrap();
        assert_eq!((check.interval, check.start_interval), (1, 0));
    }

    #[test]
    fn new_clients_mean_what_they_say() {
        let mut new = host();
        modernize(&mut Config::default(), &mut new, ApiVersion::MAX);
        let wanted = HostConfig {
            kernel_memory: 0,
            ..host()
        };
        assert_eq!(new, wanted);
    }
}
