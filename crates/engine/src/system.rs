//! What the engine is and what it finds on this machine: `version` and `info`.
//! It looks at everything and changes nothing.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gantry_api::{
    ApiVersion, Commit, Component, FirewallInfo, Info, Platform, Plugins, RuntimeInfo, SwarmInfo,
    Version, rfc3339_nano,
};

use gantry_cgroup::Abilities;

use crate::apparmor;
use crate::clock::now_nano;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::images::{Collector, Images};
use crate::registries::Registries;
use crate::volumes::Volumes;

/// The engine's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The service that describes the engine. Cheap to clone.
#[derive(Clone)]
pub struct System {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) id: String,
    pub(crate) data_root: String,
    pub(crate) storage_driver: String,
    pub(crate) log_driver: String,
    /// How logs rotate when nobody says.
    pub(crate) log_rotation: String,
    pub(crate) labels: Vec<String>,
    /// The file name of the init program.
    pub(crate) init_binary: String,
    pub(crate) debug: bool,
    pub(crate) experimental: bool,
    /// Which limits can be set.
    pub(crate) limits: Abilities,
    /// Whether packet rules are made.
    pub(crate) firewall: bool,
    pub(crate) cgroup_v2: bool,
    /// What confines containers by default.
    pub(crate) security_options: Vec<String>,
    pub(crate) systemd: bool,
    pub(crate) containers: Containers,
    pub(crate) builds: crate::builds::Builds,
    pub(crate) images: Images,
    pub(crate) registries: Registries,
    pub(crate) volumes: Volumes,
    pub(crate) events: Events,
    /// Held by the check that runs.
    pub(crate) checking: Mutex<()>,
    /// What removes images by itself, where that is wished.
    pub(crate) collector: Mutex<Option<Collector>>,
}

impl System {
    /// Removes no more images by itself.
    pub(crate) fn stop_collector(&self) {
        let collector = self.inner.collector.lock();
        drop(collector.unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The engine's name among others.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Where everything is that lasts.
    pub fn data_root(&self) -> &Path {
        Path::new(&self.inner.data_root)
    }

    /// What the engine is.
    pub fn version(&self) -> Version {
        let (inner, platform) = (&self.inner, gantry_types::Platform::host());
        let kernel = uname().0;
        let (api, least) = (ApiVersion::MAX.to_string(), ApiVersion::MIN.to_string());
        let details = [
            ("ApiVersion", api.as_str()),
            ("Arch", &platform.architecture),
            (
                "Experimental",
                if inner.experimental { "true" } else { "false" },
            ),
            ("KernelVersion", &kernel),
            ("MinAPIVersion", &least),
            ("Os", "linux"),
        ];
        let details = details.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Version {
            platform: Platform {
                name: "Gantry".to_owned(),
            },
            components: vec![Component {
                name: "Engine".to_owned(),
                version: VERSION.to_owned(),
                details: Some(details.into()),
            }],
            version: VERSION.to_owned(),
            api_version: api,
            min_api_version: least,
            os: "linux".to_owned(),
            arch: platform.architecture,
            kernel_version: kernel,
            experimental: inner.experimental,
            ..Version::default()
        }
    }

    /// Tells that the daemon has read its configuration again, and what it says
    /// now.
    pub fn tell_reloaded(&self, options: &[(&str, String)]) {
        let (_, _, name) = uname();
        let mut attributes = gantry_types::sort::map([("name".to_owned(), name)]);
        for (option, value) in options {
            attributes.insert((*option).to_owned(), value.clone());
        }
        let inner = &self.inner;
        inner
            .events
            .publish("daemon", "reload", &inner.id, attributes);
    }

    /// What the engine has and does.
    ///
    /// # Errors
    /// When the images cannot be counted.
    pub fn info(&self) -> Result<Info> {
        let inner = &self.inner;
        let (all, living) = (inner.containers.count(), inner.containers.running());
        let paused = inner.containers.paused().min(living);
        let (kernel, machine, name) = uname();
        let (operating_system, os_version) = operating_system();
        let [http_proxy, https_proxy, no_proxy] = inner.registries.proxies();
        let counted = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Ok(Info {
            id: inner.id.clone(),
            containers: counted(all),
            containers_running: counted(living - paused),
            containers_paused: counted(paused),
            containers_stopped: counted(all.saturating_sub(living)),
            images: counted(inner.images.count()?),
            driver: inner.storage_driver.clone(),
            driver_status: self.driver_status(),
            plugins: plugins(inner.volumes.drivers()),
            memory_limit: inner.limits.memory,
            swap_limit: inner.limits.swap,
            kernel_memory_tcp: inner.limits.kernel_memory_tcp,
            cpu_cfs_period: inner.limits.cpu_quota,
            cpu_cfs_quota: inner.limits.cpu_quota,
            cpu_shares: inner.limits.cpu_shares,
            cpu_set: inner.limits.cpuset,
            pids_limit: inner.limits.pids,
            ipv4_forwarding: reads_one("/proc/sys/net/ipv4/ip_forward"),
            debug: inner.debug,
            experimental_build: inner.experimental,
            n_fd: entries("/proc/self/fd"),
            oom_kill_disable: inner.limits.oom_kill_disable,
            n_goroutines: entries("/proc/self/task"),
            system_time: rfc3339_nano(now_nano()),
            logging_driver: inner.log_driver.clone(),
            log_rotation: inner.log_rotation.clone(),
            cgroup_driver: if inner.systemd { "systemd" } else { "cgroupfs" }.to_owned(),
            cgroup_version: if inner.cgroup_v2 { "2" } else { "1" }.to_owned(),
            n_events_listener: counted(inner.events.listeners()),
            kernel_version: kernel,
            operating_system,
            os_version,
            os_type: "linux".to_owned(),
            architecture: machine,
            index_server_address: "https://index.docker.io/v1/".to_owned(),
            registry_config: Some(inner.registries.shown()),
            http_proxy,
            https_proxy,
            no_proxy,
            ncpu: i64::from(cpus()),
            mem_total: memory(),
            docker_root_dir: inner.data_root.clone(),
            name,
            labels: inner.labels.clone(),
            server_version: VERSION.to_owned(),
            runtimes: ["gantry", "runc"]
                .map(|name| (name.to_owned(), runtime()))
                .into(),
            runc_commit: own_commit(),
            init_commit: own_commit(),
            init_binary: inner.init_binary.clone(),
            default_runtime: "gantry".to_owned(),
            swarm: SwarmInfo {
                local_node_state: "inactive".to_owned(),
                ..SwarmInfo::default()
            },
            live_restore_enabled: true,
            security_options: inner.security_options.clone(),
            firewall_backend: inner.firewall.then(firewall),
            warnings: warnings(&inner.limits, inner.cgroup_v2),
            ..Info::default()
        })
    }

    fn driver_status(&self) -> Vec<[String; 2]> {
        let backing = backing_file_system(Path::new(&self.inner.data_root));
        let mut status = vec![["Backing Filesystem".to_owned(), backing]];
        if self.inner.storage_driver == "overlay2" {
            for (key, value) in [
                ("Supports d_type", "true"),
                ("Using metacopy", "false"),
                ("Native Overlay Diff", "true"),
                ("userxattr", "false"),
            ] {
                status.push([key.to_owned(), value.to_owned()]);
            }
        }
        status
    }
}

fn plugins(volume: Vec<String>) -> Plugins {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Plugins {
        volume,
        network: owned(&["bridge", "host", "null"]),
        authorization: None,
        log: owned(&[
            "fluentd",
            "gelf",
            "journald",
            "json-file",
            "local",
            "syslog",
        ]),
    }
}

fn runtime() -> RuntimeInfo {
    RuntimeInfo {
        path: "gantry-runc".to_owned(),
        ..RuntimeInfo::default()
    }
}

/// Runtime and init are parts of this program.
fn own_commit() -> Commit {
    Commit {
        id: format!("gantry {VERSION}"),
        expected: None,
    }
}

fn firewall() -> FirewallInfo {
    FirewallInfo {
        driver: "nftables".to_owned(),
        info: None,
    }
}

/// What the user of this machine should know.
fn warnings(limits: &Abilities, unified: bool) -> Option<Vec<String>> {
    let mut warnings = crate::limits::warnings(limits, unified);
    if !reads_one("/proc/sys/net/ipv4/ip_forward") {
        warnings.push("WARNING: IPv4 forwarding is disabled".to_owned());
    }
    if apparmor::support() == apparmor::Support::WithoutParser {
        let text = "WARNING: AppArmor does not confine containers: there is no apparmor_parser";
        warnings.push(text.to_owned());
    }
    Some(warnings).filter(|warnings| !warnings.is_empty())
}

/// Kernel version, machine and host name.
fn uname() -> (String, String, String) {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    (
        text(uname.release()),
        text(uname.machine()),
        text(uname.nodename()),
    )
}

/// The name and version in `/etc/os-release`.
fn operating_system() -> (String, String) {
    let text = fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default();
    let value = |key: &str| os_release_value(&text, key);
    let name = value("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned());
    (name, value("VERSION_ID").unwrap_or_default())
}

fn os_release_value(text: &str, key: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// How many processors this process may use.
pub(crate) fn cpus() -> u32 {
    std::thread::available_parallelism()
        .ok()
        .and_then(|number| u32::try_from(number.get()).ok())
        .unwrap_or(1)
}

/// How many memory nodes there are.
pub(crate) fn memory_nodes() -> u32 {
    let online = fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    let last = online.trim().rsplit(['-', ',']).next();
    last.and_then(|last| last.parse::<u32>().ok())
        .map_or(1, |last| last + 1)
}

/// Bytes of memory.
pub(crate) fn memory() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

fn reads_one(path: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

fn entries(dir: &str) -> i64 {
    fs::read_dir(dir).map_or(0, |entries| i64::try_from(entries.count()).unwrap_or(0))
}

/// The file system a directory is on, by Docker's names.
fn backing_file_system(dir: &Path) -> String {
    let magic = rustix::fs::statfs(dir).map_or(0, |statfs| statfs.f_type as u64);
    match magic & 0xffff_ffff {
        0xef53 => "extfs".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x794c_7630 => "overlayfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        0xf2f5_2010 => "f2fs".to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The engine's own id, made once and kept in the data root.
///
/// # Errors
/// `Io` when it cannot be kept.
pub(crate) fn engine_id(data_root: &Path) -> Result<String> {
    let path = data_root.join("engine-id");
    if let Ok(id) = fs::read_to_string(&path)
        && id.trim().len() == 36
    {
        return Ok(id.trim().to_owned());
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Corrupt(format!("the kernel gives no random numbers: {error}")))?;
    let id = uuid(bytes);
    fs::write(&path, &id).map_err(|error| Error::io("write", &path, error))?;
    Ok(id)
}

/// Random bytes as a UUID (version 4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read() {
        let text = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID='12'\n";
        let value = |key| os_release_value(text, key);
        assert_eq!(value("PRETTY_NAME").unwrap(), "Debian GNU/Linux 12");
        assert_eq!(value("VERSION_ID").unwrap(), "12");
        assert_eq!(value("NAME"), None);
    }

    #[test]
    fn ids_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let id = engine_id(dir.path()).unwrap();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert_eq!(engine_id(dir.path()).unwrap(), id);
    }
}
