//! Everything about one container.

use gantry_api::{
    Config, ContainerInspect, ContainerState, GraphDriver, HostConfig, MountPoint, ZERO_TIME,
    rfc3339_nano,
};
use gantry_types::Mount;

use super::container::Container;
use super::record::Record;
use super::state::{Phase, State};
use super::{Containers, Inner, endpoints, networks, spec};
use crate::apparmor;
use crate::error::Result;

impl Containers {
    /// Looks at a container; with its sizes on disk when asked for.
    ///
    /// # Errors
    /// `NoSuchContainer`, `AmbiguousPrefix`.
    pub fn inspect(&self, idref: &str, size: bool) -> Result<ContainerInspect> {
        let inner = &self.inner;
        let container = inner.find(idref)?;
        let (record, state) = (&container.record(), container.state());
        let dir = inner.names_dir(record);
        let file = |name: &str| match state.has_files {
            true => dir.join(name).display().to_string(),
            false => String::new(),
        };
        let sizes = size.then(|| inner.sizes(&container));
        Ok(ContainerInspect {
            id: record.id.to_string(),
            created: rfc3339_nano(record.created),
            path: record.path.clone(),
            args: record.args.clone(),
            state: shown(&state),
            image: record.image_id.clone(),
            resolv_conf_path: file("resolv.conf"),
            hostname_path: file("hostname"),
            hosts_path: file("hosts"),
            log_path: inner.log_path(&container, &state),
            app_armor_profile: apparmor_profile(record, &state),
            name: format!("/{}", container.name()),
            restart_count: state.restart_count,
            driver: record.driver.clone(),
            platform: record.os.clone(),
            exec_ids: inner.exec_ids(&record.id),
            host_config: HostConfig {
                links: inner.shown_links(&container.name(), &record.host_config),
                ..record.host_config.clone()
            },
            graph_driver: inner.graph_driver(&container),
            size_rw: sizes.map(|(written, _)| written),
            size_root_fs: sizes.map(|(_, all)| all),
            mounts: mounts(record),
            config: Config {
                mac_address: wished_mac(record, &state),
                ..record.config.clone()
            },
            network_settings: networks::settings(record, &state, &inner.bridge_name()),
            ..ContainerInspect::default()
        })
    }
}

/// The Ethernet address that a container wants of its main network, where clients of old
/// look for it.
fn wished_mac(record: &Record, state: &State) -> String {
    let wishes = endpoints::wishes(record, state);
    let main = wishes.get(&record.network);
    main.map_or_else(String::new, |main| main.mac_address.clone())
}

/// The mounts that users see: not those of `--tmpfs`.
pub(super) fn mounts(record: &Record) -> Vec<MountPoint> {
    let shown = record.mounts.iter().filter(|point| point.is_shown());
    shown.map(super::mounts::MountPoint::shown).collect()
}

/// What was asked for until the first start; then what is in force.
fn apparmor_profile(record: &Record, state: &State) -> String {
    let host = &record.host_config;
    let asked = spec::security(host)
        .ok()
        .and_then(|security| security.apparmor);
    if state.started_at == 0 {
        return asked.unwrap_or_default();
    }
    match apparmor::support() {
        apparmor::Support::Full => asked.unwrap_or_else(|| match host.privileged {
            true => apparmor::UNCONFINED.to_owned(),
            false => apparmor::DEFAULT.to_owned(),
        }),
        _ => String::new(),
    }
}

impl Inner {
    /// Where the files are that tell a container its names: with its network.
    fn names_dir(&self, record: &Record) -> std::path::PathBuf {
        let donor = super::joined::named(&record.network);
        let donor = donor.and_then(|id| self.find(id).ok());
        let data_root = &self.settings.data_root;
        donor.map_or_else(
            || record.dir(data_root),
            |donor| donor.record().dir(data_root),
        )
    }

    fn log_path(&self, container: &Container, state: &State) -> String {
        let json = container.record().host_config.log_config.kind == "json-file";
        if !json || !state.has_files {
            return String::new();
        }
        let dir = container.record().dir(&self.settings.data_root);
        let name = format!("{}-json.log", container.id());
        dir.join(name).display().to_string()
    }

    fn graph_driver(&self, container: &Container) -> GraphDriver {
        let id = container.id().as_str();
        let mut data = gantry_types::sort::map([("ID".to_owned(), id.to_owned())]);
        match self.snapshots.mounts(id) {
            Ok(Mount::Overlay { lower, upper }) => {
                let text = |path: &std::path::Path| path.display().to_string();
                let lower: Vec<String> = lower.iter().map(|path| text(path)).collect();
                data.insert("LowerDir".to_owned(), lower.join(":"));
                if let Some((upper, work)) = upper {
                    let merged = upper.with_file_name("merged");
                    data.insert("MergedDir".to_owned(), text(&merged));
                    data.insert("UpperDir".to_owned(), text(&upper));
                    data.insert("WorkDir".to_owned(), text(&work));
                }
            }
            Ok(Mount::Bind { source, .. }) => {
                data.insert("Dir".to_owned(), source.display().to_string());
            }
            Err(error) => tracing::warn!(%id, %error, "a container has no file system"),
        }
        GraphDriver {
            data: Some(data),
            name: container.record().driver.clone(),
        }
    }
}

fn shown(state: &State) -> ContainerState {
    let time = |nanos: i64| match nanos {
        0 => ZERO_TIME.to_owned(),
        nanos => rfc3339_nano(nanos),
    };
    ContainerState {
        status: state.word().to_owned(),
        running: state.active(),
        paused: state.running() && state.paused,
        restarting: state.restarting(),
        oom_killed: state.oom_killed,
        dead: state.phase == Phase::Dead,
        pid: i64::from(state.pid),
        exit_code: i64::from(state.exit_code),
        error: state.error.clone(),
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
        health: state.health.as_ref().map(|health| health.shown()),
    }
}
