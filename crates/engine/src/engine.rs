//! The engine itself: its services, opened in their order.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gantry_cgroup::{Abilities, Hierarchy, Version};
use gantry_metadata::Database;
use gantry_network::{BridgeChoice, Network};
use gantry_shim::client::{PoolConfig, ShimPool};
use gantry_snapshot::SnapshotDriver;

use crate::apparmor;
use crate::builds::{self, Builds};
use crate::config::{EngineConfig, ShimProgram};
use crate::containers::{
    Containers, Exits, Host, Parts, Settings, claimed_snapshots, shown_driver,
};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::images::Images;
use crate::limits;
use crate::networks::Networks;
use crate::registries::Registries;
use crate::system::{self, System};
use crate::volumes::Volumes;

/// A container engine.
pub struct Engine {
    /// What happens.
    pub events: Events,
    /// Registries.
    pub registries: Registries,
    /// Images.
    pub images: Images,
    /// Volumes.
    pub volumes: Volumes,
    /// Networks.
    pub networks: Networks,
    /// Containers.
    pub containers: Containers,
    /// Builds.
    pub builds: Builds,
    /// What the engine is and has.
    pub system: System,
}

impl Engine {
    /// Opens the engine on its two directories, which must be its own alone:
    /// the database, the stores, the networks, and last the containers, which
    /// may have been running all the time.
    ///
    /// # Errors
    /// When a directory or a store cannot be opened, or the kernel lacks what
    /// the networks need.
    pub fn open(config: EngineConfig) -> Result<Self> {
        make_dir(&config.data_root, 0o700)?;
        make_dir(&config.exec_root, 0o711)?;
        let cgroup_v2 = is_unified();
        let limits = limits::abilities();
        limits::allow_realtime(&config)?;
        let database = Arc::new(Database::open(config.data_root.join("metadata.db"))?);
        let driver = config.storage_driver.as_deref();
        let snapshots = open_snapshots(&config.data_root, driver, &database)?;
        let events = Events::new();
        let registries = Registries::open(&config)?;
        let images = Images::open(&config, &database, &snapshots, events.clone(), &registries)?;
        clean_snapshots(&database, &snapshots)?;
        let network = Network::open(config.network.clone(), &database)?;
        let volumes = Volumes::open(&config, &database, events.clone())?;
        let networks = Networks::new(Arc::clone(&network), events.clone());
        let collector = config.image_gc.clone().map(|gc| images.collect_by(gc));
        let collector = collector.transpose()?;
        let (exits, queues) = Exits::new();
        let shims = open_shims(&config, &exits)?;
        let containers = Containers::open(Parts {
            settings: settings(&config, cgroup_v2, limits),
            database: Arc::clone(&database),
            snapshots: Arc::clone(&snapshots),
            network,
            shims,
            events: events.clone(),
            images: images.clone(),
            volumes: volumes.clone(),
            exits,
            queues,
        })?;
        let builds = Builds::open(builds::Parts {
            data_root: config.data_root.clone(),
            database: Arc::clone(&database),
            snapshots: Arc::clone(&snapshots),
            images: images.clone(),
            registries: registries.clone(),
            containers: containers.clone(),
            policy: config.builds.clone(),
        })?;
        let security_options = security_options(&config, cgroup_v2);
        let system = System {
            inner: Arc::new(system::Inner {
                id: system::engine_id(&config.data_root)?,
                data_root: config.data_root.display().to_string(),
                storage_driver: shown_driver(snapshots.name()).to_owned(),
                log_rotation: gantry_logs::rotation(&config.log_driver, &config.log_opts),
                log_driver: config.log_driver,
                labels: config.labels,
                init_binary: init_binary(config.init_program.as_deref()),
                debug: config.debug,
                experimental: config.experimental,
                limits,
                firewall: config.network.iptables,
                cgroup_v2,
                security_options,
                systemd: config.systemd_cgroup,
                containers: containers.clone(),
                builds: builds.clone(),
                images: images.clone(),
                registries: registries.clone(),
                volumes: volumes.clone(),
                events: events.clone(),
                checking: Mutex::new(()),
                collector: Mutex::new(collector),
            }),
        };
        Ok(Self {
            events,
            registries,
            images,
            volumes,
            networks,
            containers,
            builds,
            system,
        })
    }

    /// Ends the streams and lets go of what is kept ready. Containers run on:
    /// the next engine finds them.
    pub fn shutdown(&self) {
        self.system.stop_collector();
        self.events.shutdown();
        self.containers.shutdown();
        self.builds.shutdown();
    }
}

/// What confines containers by default, in Docker's order.
fn security_options(config: &EngineConfig, cgroup_v2: bool) -> Vec<String> {
    let profile = match &config.seccomp_source {
        None => "builtin",
        Some(source) => source,
    };
    let listed = [
        (
            apparmor::support() == apparmor::Support::Full,
            "name=apparmor".to_owned(),
        ),
        (true, format!("name=seccomp,profile={profile}")),
        (config.userns_remap.is_some(), "name=userns".to_owned()),
        (cgroup_v2, "name=cgroupns".to_owned()),
        (
            config.no_new_privileges,
            "name=no-new-privileges".to_owned(),
        ),
    ];
    let on = listed.into_iter().filter(|(on, _)| *on);
    on.map(|(_, option)| option).collect()
}

fn settings(config: &EngineConfig, cgroup_v2: bool, limits: Abilities) -> Settings {
    Settings {
        data_root: config.data_root.clone(),
        exec_root: config.exec_root.clone(),
        cgroup_parent: config.cgroup_parent.clone(),
        log_driver: config.log_driver.clone(),
        log_opts: config.log_opts.clone(),
        shm_size: config.shm_size,
        storage_size: config.storage_size.clone(),
        ipc_mode: config.ipc_mode.clone(),
        cgroupns_mode: config.cgroupns_mode.clone(),
        default_ulimits: config.default_ulimits.clone(),
        no_new_privileges: config.no_new_privileges,
        seccomp_profile: config.seccomp_profile.clone(),
        remap: config.userns_remap.clone(),
        stop_timeout: config.stop_timeout,
        init: config.init,
        init_program: config.init_program.clone(),
        bridge: match &config.network.bridge {
            BridgeChoice::Own(name) | BridgeChoice::Existing(name) => name.clone(),
            BridgeChoice::Disabled => String::new(),
        },
        host: Host {
            cpus: system::cpus(),
            memory_nodes: system::memory_nodes(),
            memory: u64::try_from(system::memory()).unwrap_or(u64::MAX),
            cgroup_v2,
            systemd: config.systemd_cgroup,
            limits,
        },
    }
}

/// The name by which `info` shows the init program.
fn init_binary(program: Option<&Path>) -> String {
    let name = program.and_then(Path::file_name);
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Whether there is the unified hierarchy alone.
fn is_unified() -> bool {
    Hierarchy::current().is_ok_and(|hierarchy| hierarchy.version() == Version::V2)
}

fn open_shims(config: &EngineConfig, exits: &Arc<Exits>) -> Result<ShimPool> {
    let pool = PoolConfig {
        exec_root: config.exec_root.clone(),
        program: shim_program(&config.shim_program)?,
        size: config.warm_shims,
        open_files: config.open_files,
    };
    let exits = Arc::clone(exits);
    Ok(ShimPool::new(pool, move |id, event| exits.tell(id, event))?)
}

/// The shim's program in memory, sealed: nothing can overwrite it.
fn shim_program(program: &ShimProgram) -> Result<OwnedFd> {
    let read;
    let bytes = match program {
        ShimProgram::Bytes(bytes) => bytes,
        ShimProgram::Path(path) => {
            read = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
            read.as_slice()
        }
    };
    gantry_sys::sealed_memfd("gantry-shim", bytes)
        .map_err(|error| Error::io("make", "memory file of the shim", error.into()))
}

fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .map_err(|error| Error::io("create", dir, error))
}

pub(crate) fn open_snapshots(
    data_root: &Path,
    driver: Option<&str>,
    database: &Arc<Database>,
) -> Result<Arc<dyn SnapshotDriver>> {
    let root = data_root.join("snapshots");
    let kind = gantry_snapshot::select(driver, &root)?;
    let records = Arc::new(gantry_snapshot::MetadataRecords::new(
        Arc::clone(database),
        kind.name(),
    ));
    Ok(kind.open(&root, records)?)
}

/// Removes the file systems that no image and no container claims.
pub(crate) fn clean_snapshots(
    database: &Arc<Database>,
    snapshots: &Arc<dyn SnapshotDriver>,
) -> Result<()> {
    let mut live: HashSet<String> = HashSet::new();
    database.read(|view| -> Result<(), gantry_metadata::Error> {
        for row in gantry_metadata::containers::list(view)? {
            live.extend(claimed_snapshots(&row.record));
            live.insert(row.id);
        }
        for row in gantry_metadata::images::list(view)? {
            let layers = gantry_metadata::images::layers(view, row.id)?;
            live.extend(layers.into_iter().map(|(_, chain)| chain.to_string()));
        }
        live.extend(gantry_metadata::leases::held_snapshots(view)?);
        Ok(())
    })?;
    for key in snapshots.cleanup(&live)? {
        tracing::info!(key, "removed a file system that nothing claims");
    }
    Ok(())
}
