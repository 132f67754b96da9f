//! Opening: the containers of the last engine, and what became of them.
//!
//! Whatever moment the last engine ended at, afterwards: every record is in
//! memory; what runs is connected again; what ended meanwhile is settled; what
//! was half-started has either become a running container or is taken back; and
//! everything on disk, in cgroups or in the network that no record claims is gone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gantry_cgroup::Cgroup;
use gantry_metadata::containers::ContainerRow;
use gantry_network::Living;
use gantry_shim::client::{self as shims, Found, ShimConnection};
use gantry_shim::protocol::{ExitRecord, Status};
use gantry_types::ContainerId;

use super::Inner;
use super::container::Container;
use super::exit;
use super::files;
use super::health::{self, Health};
use super::joined;
use super::record::Record;
use super::restart_policy;
use super::restarter::Cause;
use super::state::{Phase, State};
use crate::clock::now_nano;
use crate::error::Result;

/// What Docker says of containers whose end nobody saw.
const UNSEEN: i32 = 255;

impl Inner {
    /// Brings everything back. Called once, before anything else.
    pub(super) fn restore(self: &Arc<Self>) -> Result<()> {
        let rows = self.database.read(gantry_metadata::containers::list)?;
        for row in &rows {
            match read(row) {
                Some((record, state)) => self.adopt(record, state),
                None => tracing::error!(id = row.id, "a row of no container at all"),
            }
        }
        let claimed: HashSet<String> = rows.into_iter().map(|row| row.id).collect();
        self.sweep_leftovers(&claimed)?;
        let mut live = Vec::new();
        for container in self.table.all() {
            self.reconnect(&container, &mut live);
        }
        self.unmount_for_the_dead();
        // Two that claim one address are told apart there; that is no reason
        // to leave all others alone.
        if let Err(error) = self.network.reconcile(live) {
            tracing::error!(%error, "cannot take over all networks of running containers");
        }
        let mut all = self.table.all();
        // Who joins another's namespaces is started after those who do not.
        gantry_types::sort::by_key(&mut all, |container| {
            joined::joins_any(&container.record().host_config)
        });
        for container in all {
            self.resume(&container);
        }
        Ok(())
    }

    /// Takes a record back into the table.
    fn adopt(&self, record: Record, state: State) {
        self.adopt_volumes(&record);
        if let Err(error) = self.table.claim(&record.name, &record.id) {
            return tracing::error!(id = %record.id, %error, "a container is left out");
        }
        self.table.insert(Container::new(record, state));
    }

    /// Removes what no record claims: run directories (with what still runs in
    /// them), container directories and file systems.
    fn sweep_leftovers(&self, claimed: &HashSet<String>) -> Result<()> {
        for id in shims::scan(&self.settings.exec_root)? {
            if !claimed.contains(id.as_str()) {
                self.end_unclaimed(&id);
            }
        }
        let containers = self.settings.data_root.join("containers");
        for entry in std::fs::read_dir(&containers)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            if name.to_str().is_none_or(|name| !claimed.contains(name)) {
                super::remove::remove_dir(&entry.path());
            }
        }
        Ok(())
    }

    fn end_unclaimed(&self, id: &ContainerId) {
        let ended = match self.shims.reconnect(id) {
            Ok(Found::Running(link, _)) => link
                .signal(libc::SIGKILL, true)
                .and_then(|()| link.delete()),
            _ => shims::remove_directory(&self.settings.exec_root, id),
        };
        if let Err(error) = ended {
            tracing::warn!(%id, %error, "cannot remove a container that nobody knows");
        }
    }

    /// Finds out what became of a container. What cannot be written down is
    /// true all the same: it is no reason to leave the others alone.
    fn reconnect(self: &Arc<Self>, container: &Arc<Container>, live: &mut Vec<Living>) {
        let id = container.id();
        let found = match self.shims.reconnect(id) {
            Ok(found) => Some(found),
            Err(shims::Error::Gone(_)) => None,
            Err(error) => {
                tracing::error!(%id, %error, "cannot find out what became of a container");
                None
            }
        };
        let phase = container.state().phase;
        match (phase, found) {
            (Phase::Running | Phase::Starting, Some(Found::Running(link, status))) => {
                self.reattach(container, link, &status, live);
            }
            (Phase::Running | Phase::Starting, Some(Found::Exited(record))) => {
                self.settle_unwatched(container, phase, Some(&record));
            }
            (Phase::Running | Phase::Starting, None) => {
                self.settle_unwatched(container, phase, None);
            }
            // Nobody can tell any more what it is; its removal ends it.
            (Phase::Dead, Some(Found::Running(link, _))) => {
                container.set_link(Some(Arc::new(link)));
            }
            (_, found) => self.take_back(container, found),
        }
    }

    /// Of a container that is not known to run: what it has left, be it of a start that
    /// nobody was told of, be it that the last engine did not get to its directory.
    fn take_back(&self, container: &Container, found: Option<Found>) {
        let id = container.id();
        match found {
            Some(Found::Running(..)) => self.end_unclaimed(id),
            Some(Found::Exited(_)) => {
                if let Err(error) = shims::remove_directory(&self.settings.exec_root, id) {
                    tracing::warn!(%id, %error, "cannot remove a run directory");
                }
            }
            // A start that the shim has not survived either.
            None => self.end_cgroup(container),
        }
        match container.state().phase {
            // By whom and when it is started again is decided anew.
            Phase::Restarting => self.settle_fact(container, |state| {
                state.phase = Phase::Exited;
            }),
            Phase::Removing => self.settle_fact(container, |state| {
                state.phase = state.resting();
            }),
            _ => {}
        }
    }

    fn reattach(
        self: &Arc<Self>,
        container: &Arc<Container>,
        link: ShimConnection,
        status: &Status,
        live: &mut Vec<Living>,
    ) {
        if let Some(attachment) = container.state().attachment {
            live.push(Living {
                container: container.id().clone(),
                name: container.name(),
                attachment,
                netns: namespace_of(status.pid),
                dns: files::dns(&container.record(), &self.network)
                    .map_or_else(|_| Vec::new(), |dns| dns.servers),
            });
        }
        self.adopt_execs(container, &link, &status.execs);
        container.set_link(Some(Arc::new(link)));
        let started_at = exit::nanos(&status.started_at);
        let checked = health::Plan::of(&container.record().config).is_some();
        self.settle_fact(container, |state| {
            if state.phase == Phase::Starting {
                // Nobody was told that it runs, but it does.
                state.error = String::new();
                state.exit_code = 0;
            }
            if state.phase == Phase::Starting || state.started_at == 0 {
                state.started_at = started_at.unwrap_or_else(now_nano);
            }
            state.phase = Phase::Running;
            state.again = false;
            state.pid = i32::try_from(status.pid).unwrap_or(0);
            state.paused = status.paused;
            if checked && state.health.is_none() {
                state.health = Some(Arc::new(Health::begin(None)));
            }
            if state.paused {
                state.unwatch_health();
            }
        });
        self.end_commit_of_last_daemon(container);
    }

    /// Settles a container that ended while nobody watched. A start that was
    /// never told to have succeeded is taken back instead.
    fn settle_unwatched(
        &self,
        container: &Arc<Container>,
        phase: Phase,
        record: Option<&ExitRecord>,
    ) {
        self.settle_fact(container, |state| match (phase, record) {
            (Phase::Starting, None) => {
                state.phase = state.resting();
                state.again = false;
            }
            (Phase::Starting, Some(record)) => {
                let finished = exit::finished_at(record);
                state.started_at = finished;
                state.end(record.exit_code, record.oom_killed, finished);
            }
            (_, Some(record)) => {
                state.end(
                    record.exit_code,
                    record.oom_killed,
                    exit::finished_at(record),
                );
            }
            (_, None) => state.end(UNSEEN, false, now_nano()),
        });
        if record.is_none() {
            self.end_cgroup(container);
        }
        if let Err(error) = shims::remove_directory(&self.settings.exec_root, container.id()) {
            tracing::warn!(id = %container.id(), %error, "cannot remove a run directory");
        }
    }

    /// Ends what is left of a container that has lost its shim and its run
    /// directory, but not by the end of the machine.
    fn end_cgroup(&self, container: &Container) {
        let path = container.record().cgroup(&self.settings);
        let Ok(cgroup) = Cgroup::open(&path) else {
            return;
        };
        let ended = cgroup.kill_all().and_then(|()| cgroup.remove());
        if let Err(error) = ended {
            tracing::warn!(id = %container.id(), %error, "cannot remove a lost container's cgroup");
        }
    }

    /// What was waiting for the engine: events of what runs, and the removal of
    /// what ended and was to be removed.
    fn resume(self: &Arc<Self>, container: &Arc<Container>) {
        match container.link() {
            Ok(link) => {
                self.resume_health(container);
                if let Err(error) = link.watch() {
                    tracing::error!(id = %container.id(), %error, "cannot watch a container");
                }
            }
            Err(_) if container.state().phase == Phase::Exited && container.removed_by_exit() => {
                self.remove_ended(container);
            }
            Err(_) if is_wanted(container) => {
                self.start_later(container, Duration::ZERO, Cause::Opened);
            }
            Err(_) => {}
        }
    }
}

/// The network namespace of a container's first process.
fn namespace_of(pid: u32) -> Option<std::os::fd::OwnedFd> {
    let path = format!("/proc/{pid}/ns/net");
    std::fs::File::open(path).ok().map(Into::into)
}

/// Whether a restart policy wants an ended container to run.
fn is_wanted(container: &Container) -> bool {
    let state = container.state();
    let policy = &container.record().host_config.restart_policy;
    let (count, stopped) = (state.restart_count, state.manually_stopped);
    let renewed = state.renewed && !stopped;
    state.phase == Phase::Exited
        && (renewed || restart_policy::wants_start(policy, state.exit_code, count, stopped))
}

/// A row as a container; `None` when not even its id is one. Of a spoilt row
/// there is what its other columns tell, so that it can be seen and removed.
fn read(row: &ContainerRow) -> Option<(Record, State)> {
    let id: ContainerId = row.id.parse().ok()?;
    let record = Record::read(&row.record);
    let mut record = match record {
        Ok(record) if record.id == id => record,
        outcome => {
            let why = outcome.map_or_else(|error| error.to_string(), |_| "another id".to_owned());
            tracing::error!(%id, name = row.name, why, "a container's record cannot be read");
            return Some(spoilt(id, row, &why));
        }
    };
    // It may have been renamed since.
    record.name.clone_from(&row.name);
    let state = serde_json::from_str(&row.state).unwrap_or_else(|error| {
        tracing::error!(%id, name = row.name, %error, "a container's state cannot be read");
        // Its shim, or that there is none, tells the rest.
        State {
            phase: Phase::Running,
            error: format!("the record of the container's state cannot be read: {error}"),
            has_files: true,
            ..State::created()
        }
    });
    Some((record, state))
}

/// A container of which only the columns of its row are known.
fn spoilt(id: ContainerId, row: &ContainerRow, why: &str) -> (Record, State) {
    let record = Record {
        id_map: None,
        id,
        name: row.name.clone(),
        created: row.created_at,
        image_id: row.image_id.clone().unwrap_or_default(),
        os: "linux".to_owned(),
        driver: String::new(),
        path: String::new(),
        args: Vec::new(),
        config: gantry_api::Config::default(),
        host_config: gantry_api::HostConfig::default(),
        network: "none".to_owned(),
        endpoint: gantry_api::EndpointSettings::default(),
        more_endpoints: std::collections::BTreeMap::new(),
        mounts: Vec::new(),
        old_mounts: None,
        step: false,
    };
    let state = State {
        phase: Phase::Dead,
        error: format!("the container's record cannot be read, it can only be removed: {why}"),
        ..State::created()
    };
    (record, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(record: &str, state: &str) -> ContainerRow {
        ContainerRow {
            id: "a".repeat(64),
            name: "web".to_owned(),
            image_id: None,
            created_at: 7,
            record: record.to_owned(),
            state: state.to_owned(),
        }
    }

    #[test]
    fn a_spoilt_record_can_still_be_seen() {
        let (record, state) = read(&row("{", "{}")).unwrap();
        assert_eq!((record.name.as_str(), record.created), ("web", 7));
        assert_eq!(state.phase, Phase::Dead);
        assert!(state.error.contains("can only be removed"));
        let nameless = ContainerRow {
            id: "x".to_owned(),
            ..row("{", "{}")
        };
        assert!(read(&nameless).is_none());
    }

    #[test]
    fn a_spoilt_state_is_asked_of_the_shim() {
        let (record, _) = read(&row("{", "{}")).unwrap();
        let json = serde_json::to_string(&record).unwrap();
        let (record, state) = read(&row(&json, "what?")).unwrap();
        assert_eq!((record.name.as_str(), state.phase), ("web", Phase::Running));
        assert!(state.error.contains("cannot be read"));
    }
}
