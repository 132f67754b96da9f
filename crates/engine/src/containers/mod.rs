//! The service of containers: one file for each verb, and what they share.
//!
//! ```text
//! verbs      create start stop kill restart wait list inspect logs attach
//!            resize remove prune pause rename top exec update
//! by itself  exit (a process ended), restarter (by restart_policy), restore
//!            (the engine opens), health (checks whether it is well)
//! shared     record + state = container, table (all of them), spec (what the
//!            runtime is told), undo
//! ```

mod attach;
mod block_io;
mod changes;
mod check;
mod commit;
mod connect;
mod container;
mod copy;
mod create;
mod defaults;
mod detach;
mod discard;
mod endpoints;
mod exec;
mod exit;
mod explain;
mod export;
mod files;
mod filters;
mod health;
mod inspect;
mod joined;
mod kill;
mod limits;
mod links;
mod list;
mod log_settings;
mod logs;
mod merge;
mod mounts;
mod names;
mod networks;
mod pause;
mod propagation;
mod prune;
mod publish;
mod record;
mod remove;
mod rename;
mod resize;
mod restart;
mod restart_policy;
mod restarter;
mod restore;
mod shared_network;
mod signals;
mod spec;
mod start;
mod start_error;
mod state;
mod stats;
mod step;
mod stop;
mod storage;
mod table;
mod top;
mod undo;
mod update;
mod user_namespace;
mod validate;
mod view;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::Ulimit;
use gantry_metadata::Database;
use gantry_network::{Attachment, Definition, Network};
use gantry_shim::client::ShimPool;
use gantry_snapshot::SnapshotDriver;

pub use attach::{AttachQuery, AttachStream};
pub(crate) use changes::is_scaffold;
pub(crate) use check::{finding, layers_below};
pub use commit::CommitQuery;
pub use copy::{Download, UnpackQuery};
pub(crate) use create::make_dir as make_private_dir;
pub use exec::{ExecStart, ExecStream};
pub use export::Export;
pub use list::ListQuery;
pub use logs::{LogStream, LogsQuery};
pub use mounts::VolumeCopyKind;
pub(crate) use record::Record;
pub use remove::RemoveOptions;
pub(crate) use signals::SignalError;
pub(crate) use start_error::without_runtime;
pub(crate) use state::State;
pub use stats::StatsStream;
pub(crate) use step::{StepMount, StepSource};
pub use wait::WaitHandle;

use crate::error::{Error, Result};
use crate::events::Events;
use crate::images::Images;
use crate::stats::Collector;
use crate::user_namespaces::IdMap;
use crate::volumes::Volumes;
use container::Container;
use exec::Execs;
pub(crate) use exit::{Exits, Queues};
use health::Timetable;
use mounts::FirstMounts;
pub(crate) use mounts::claimed_snapshots;
use restarter::Restarts;
use table::Table;
use wait::Departed;

/// The service of containers. Cheap to clone.
#[derive(Clone)]
pub struct Containers {
    inner: Arc<Inner>,
}

/// What the verbs work with.
struct Inner {
    settings: Settings,
    database: Arc<Database>,
    snapshots: Arc<dyn SnapshotDriver>,
    network: Arc<Network>,
    shims: ShimPool,
    events: Events,
    images: Images,
    volumes: Volumes,
    first_mounts: FirstMounts,
    table: Table,
    departed: Departed,
    execs: Execs,
    exits: Arc<Exits>,
    restarts: Restarts,
    stats: Collector,
    timetable: Timetable,
}

/// The daemon's options that containers care about.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) cgroup_parent: String,
    pub(crate) log_driver: String,
    pub(crate) log_opts: BTreeMap<String, String>,
    pub(crate) shm_size: u64,
    pub(crate) storage_size: Option<String>,
    pub(crate) ipc_mode: String,
    pub(crate) cgroupns_mode: Option<String>,
    pub(crate) default_ulimits: Vec<Ulimit>,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp_profile: Option<String>,
    /// The ids of containers that do not say.
    pub(crate) remap: Option<IdMap>,
    pub(crate) stop_timeout: i64,
    /// The host's interface of the default network, if there is one.
    pub(crate) bridge: String,
    /// Whether containers that do not say have an init process.
    pub(crate) init: bool,
    /// The init program on this host, if there is one.
    pub(crate) init_program: Option<PathBuf>,
    pub(crate) host: Host,
}

/// What the machine has, as far as requests are checked against it.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) cpus: u32,
    pub(crate) memory_nodes: u32,
    /// Bytes of memory.
    pub(crate) memory: u64,
    pub(crate) cgroup_v2: bool,
    /// Whether systemd makes the cgroups.
    pub(crate) systemd: bool,
    /// Which limits there are.
    pub(crate) limits: gantry_cgroup::Abilities,
}

/// A storage driver by the name that Docker's users know.
pub(crate) fn shown_driver(name: &str) -> &str {
    match name {
        "overlay" => "overlay2",
        other => other,
    }
}

impl Inner {
    fn find(&self, idref: &str) -> Result<Arc<Container>> {
        let found = self.table.find(idref);
        found.or_else(|error| self.linked(idref).ok_or(error))
    }

    /// Changes the state of a container, in the database first. `change` is
    /// applied to what is written and to what is in memory, where a mark may
    /// have been made meanwhile.
    ///
    /// # Errors
    /// When it cannot be written; then nothing has changed.
    fn settle(&self, container: &Container, change: impl Fn(&mut State)) -> Result<()> {
        let _order = container.order_writes();
        let mut state = container.state();
        change(&mut state);
        self.persist(container, &state)?;
        container.update(change);
        Ok(())
    }

    /// As [`settle`](Self::settle), for what has happened and is true whether it
    /// can be written or not.
    fn settle_fact(&self, container: &Container, change: impl Fn(&mut State)) {
        self.settle_fact_and(container, change, || ());
    }

    /// The same, with work between the writing and the change in memory: for
    /// what may be thrown away once it is written, and before it is seen.
    fn settle_fact_and<T>(
        &self,
        container: &Container,
        change: impl Fn(&mut State),
        work: impl FnOnce() -> T,
    ) -> T {
        let _order = container.order_writes();
        let mut state = container.state();
        change(&mut state);
        if let Err(error) = self.persist(container, &state) {
            tracing::error!(id = %container.id(), %error, "cannot record a container's state");
        }
        let result = work();
        container.update(change);
        result
    }

    /// The storage driver's name, as Docker's users know it.
    fn driver_name(&self) -> String {
        shown_driver(self.snapshots.name()).to_owned()
    }

    /// The host's interface of the default network.
    fn bridge_name(&self) -> String {
        self.settings.bridge.clone()
    }

    /// Writes a state to the database; not that of a step of a build, which the next
    /// daemon takes away however far it came.
    fn persist(&self, container: &Container, state: &State) -> Result<()> {
        if container.record().step {
            return Ok(());
        }
        let json = serde_json::to_string(state)
            .map_err(|error| Error::Corrupt(format!("state of a container: {error}")))?;
        let id = container.id().as_str();
        let set = |tx: &gantry_metadata::Tx<'_>| {
            gantry_metadata::containers::set_state(tx, id, &json).map(drop)
        };
        let written: std::result::Result<(), gantry_metadata::Error> = match state.phase {
            state::Phase::Running => self.database.write(set),
            // That it has ended is remembered even when the disk is full.
            _ => self.database.write_freeing(set),
        };
        written.map_err(Error::Metadata)
    }

    /// Tells that a container joined or left its network.
    fn publish_network(&self, container: &Container, action: &str, attachment: &Attachment) {
        for endpoint in &attachment.endpoints {
            match self.network.find(&endpoint.network_id) {
                Ok(network) => self.publish_place(container, action, &network.id, &network),
                Err(error) => tracing::debug!(%error, "no event of a network that is gone"),
            }
        }
    }

    /// The same, for one network.
    fn publish_place(&self, container: &Container, action: &str, id: &str, network: &Definition) {
        let attributes = [
            ("container", container.id().as_str()),
            ("name", network.name.as_str()),
            ("type", network.driver.as_str()),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.events
            .publish("network", action, id, attributes.into());
    }

    /// Tells that `action` happened to a container, with more attributes than
    /// its labels, image and name.
    fn publish(&self, container: &Container, action: &str, more: &[(&str, String)]) {
        let record = &container.record();
        let mut attributes = record.config.labels.clone().unwrap_or_default();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), container.name());
        for (key, value) in more {
            attributes.insert((*key).to_owned(), value.clone());
        }
        self.events
            .publish("container", action, container.id().as_str(), attributes);
    }
}

/// What the service of containers is opened with.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) database: Arc<Database>,
    pub(crate) snapshots: Arc<dyn SnapshotDriver>,
    pub(crate) network: Arc<Network>,
    pub(crate) shims: ShimPool,
    pub(crate) events: Events,
    pub(crate) images: Images,
    pub(crate) volumes: Volumes,
    pub(crate) exits: Arc<Exits>,
    pub(crate) queues: Queues,
}

impl Containers {
    /// Opens the service: brings the containers of the last engine back.
    ///
    /// # Errors
    /// When their records cannot be read or settled.
    pub(crate) fn open(parts: Parts) -> Result<Self> {
        let inner = Arc::new(Inner {
            settings: parts.settings,
            database: parts.database,
            snapshots: parts.snapshots,
            network: parts.network,
            shims: parts.shims,
            events: parts.events,
            images: parts.images,
            volumes: parts.volumes,
            first_mounts: FirstMounts::default(),
            table: Table::default(),
            departed: Departed::default(),
            execs: Execs::default(),
            exits: parts.exits,
            restarts: Restarts::default(),
            stats: Collector::default(),
            timetable: Timetable::default(),
        });
        inner.restore()?;
        exit::start_threads(&inner, parts.queues)?;
        Ok(Self { inner })
    }

    /// From now on no restart policy starts a container, and a stop is not the
    /// user's wish but the daemon's.
    pub fn begin_shutdown(&self) {
        self.inner.restarts.close();
        self.inner.timetable.close();
    }

    /// Takes no more news from containers; they run on.
    pub(crate) fn shutdown(&self) {
        self.begin_shutdown();
        self.inner.stats.close();
        self.inner.exits.close();
        self.inner.network.shutdown();
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.inner.table.all().len()
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        let all = self.inner.table.all();
        all.iter().filter(|c| c.state().running()).count()
    }

    /// Whether any container runs, or will by itself.
    pub fn are_active(&self) -> bool {
        self.inner.table.all().iter().any(|c| c.state().active())
    }
}

/// See [`crate::read_request`].
#[cfg(any(fuzzing, test))]
pub(crate) fn read_request(request: &gantry_api::ContainerCreate) -> bool {
    let host = &request.host_config;
    let readable = [
        mounts::of_request(host).is_ok(),
        spec::check(host).is_ok(),
        block_io::of(host).is_ok(),
        validate::config(&request.config).is_ok(),
        shared_network::check(&request.config, host).is_ok(),
        publish::check(host).is_ok(),
        restart_policy::check(&host.restart_policy, host.auto_remove).is_ok(),
    ];
    readable.iter().all(|fine| *fine)
}
