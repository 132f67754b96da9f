//! What the options mean: typed values, with their defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_api::Ulimit;
use gantry_engine::{
    EngineConfig, IdMap, LayerCompression, PluginFolders, ShimProgram, TrustPolicy, TrustRule,
    VolumePatience as Patience,
};
use gantry_registry::{Config as Registries, Proxies};
use gantry_server::{Address, ListenOptions, Listener, TlsFiles};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::command_line::Values;
use super::values::{count, number, pairs, path, strings, switch, text};
use super::{builder, cgroup_driver, config_file, image_gc, network_settings, quantity};
use crate::embedded;

/// Where the API is found when nobody says otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Where sockets and state of what runs are.
pub(crate) const DEFAULT_EXEC_ROOT: &str = "/run/gantry";
const DEFAULT_DATA_ROOT: &str = "/var/lib/gantry";

/// The options that can change in a running daemon.
const LIVE: [&str; 14] = [
    "debug",
    "features",
    "http-proxy",
    "https-proxy",
    "insecure-registry",
    "live-restore",
    "log-level",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "no-proxy",
    "registries",
    "registry-mirror",
    "shutdown-timeout",
];

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// The daemon's options.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) validate: bool,
    pub(super) detach: bool,
    pub(super) hosts: Vec<Address>,
    pub(super) listen: ListenOptions,
    pub(super) data_root: PathBuf,
    pub(super) exec_root: PathBuf,
    pub(super) pidfile: PathBuf,
    pub(super) log_level: LevelFilter,
    pub(super) log_format: LogFormat,
    pub(super) raw_logs: bool,
    pub(super) live_restore: bool,
    pub(super) shutdown_timeout: i64,
    pub(super) idle_exit: Option<Duration>,
    /// Whether clients are told to build by BuildKit.
    pub(super) buildkit: bool,
    /// Whether clients are told that experimental features are on.
    pub(super) experimental: bool,
    values: Values,
}

impl Settings {
    /// Joins the flags with the configuration file, and reads all values.
    ///
    /// # Errors
    /// Names the option that is wrong.
    pub(super) fn load(flags: &Values) -> Result<Self, String> {
        let file = text(flags, "config-file").map(Path::new);
        Self::from_values(config_file::merged(file, flags)?)
    }

    fn from_values(values: Values) -> Result<Self, String> {
        let hosts = strings(&values, "host");
        let hosts = match hosts.is_empty() {
            true => vec![format!("unix://{DEFAULT_SOCKET}")],
            false => hosts,
        };
        let hosts = hosts
            .iter()
            .map(|host| host.parse().map_err(|error| format!("--host: {error}")))
            .collect::<Result<Vec<Address>, String>>()?;
        let listen = listen_options(&values);
        for host in &hosts {
            Listener::check(host, &listen).map_err(|error| error.to_string())?;
        }
        let exec_root = path(&values, "exec-root", Path::new(DEFAULT_EXEC_ROOT))?;
        let settings = Self {
            validate: switch(&values, "validate", false),
            detach: switch(&values, "detach", false),
            hosts,
            listen,
            data_root: path(&values, "data-root", Path::new(DEFAULT_DATA_ROOT))?,
            pidfile: path(&values, "pidfile", &exec_root.join("gantry.pid"))?,
            exec_root,
            log_level: log_level(&values)?,
            log_format: log_format(&values)?,
            raw_logs: switch(&values, "raw-logs", false),
            live_restore: switch(&values, "live-restore", true),
            shutdown_timeout: number(&values, "shutdown-timeout", 15),
            idle_exit: idle_exit(&values)?,
            buildkit: features(&values)?,
            experimental: switch(&values, "experimental", false),
            values,
        };
        // Everything is checked now, so that `--validate` means what it says.
        settings.engine(ShimProgram::Bytes(Vec::new()))?;
        Ok(settings)
    }

    /// What the engine is opened with.
    ///
    /// # Errors
    /// Names the option that is wrong, or the profile that cannot be read.
    pub(super) fn engine(&self, shim_program: ShimProgram) -> Result<EngineConfig, String> {
        let values = &self.values;
        let mut config =
            EngineConfig::new(self.data_root.clone(), self.exec_root.clone(), shim_program);
        config.hello_program = Some(embedded::hello);
        config.storage_driver = text(values, "storage-driver").map(str::to_owned);
        config.systemd_cgroup = cgroup_driver::is_systemd(&strings(values, "exec-opt"))?;
        config.realtime_period = u64::try_from(number(values, "cpu-rt-period", 0)).unwrap_or(0);
        config.realtime_runtime = number(values, "cpu-rt-runtime", 0);
        config.cgroup_parent =
            cgroup_driver::parent(text(values, "cgroup-parent"), config.systemd_cgroup)?;
        config.network = network_settings::network(values)?;
        if let Some(driver) = text(values, "log-driver") {
            config.log_driver = driver.to_owned();
        }
        config.log_opts = pairs(values, "log-opt");
        if let Some(size) = text(values, "default-shm-size") {
            config.shm_size =
                quantity::bytes(size).map_err(|error| format!("--default-shm-size: {error}"))?;
        }
        config.storage_size = storage_size(values)?;
        (config.ipc_mode, config.cgroupns_mode) = namespaces(values)?;
        config.default_ulimits = self.ulimits()?;
        config.no_new_privileges = switch(values, "no-new-privileges", false);
        config.seccomp_profile = seccomp_profile(values)?;
        config.seccomp_source = match config.seccomp_profile {
            Some(_) => text(values, "seccomp-profile").map(str::to_owned),
            None => None,
        };
        config.userns_remap = remap(values)?;
        config.init = switch(values, "init", false);
        config.init_program = text(values, "init-path").map(PathBuf::from);
        config.labels = self.labels()?;
        config.registries = self.registries()?;
        (config.concurrent_downloads, config.concurrent_uploads) = self.concurrency()?;
        config.layer_compression = match text(values, "layer-compression") {
            None => None,
            Some("gzip") => Some(LayerCompression::Gzip),
            Some("zstd") => Some(LayerCompression::Zstd),
            Some(other) => return Err(format!("invalid layer-compression: {other}: gzip or zstd")),
        };
        config.trust_policy = self.trust_policy()?;
        config.volume_plugins = volume_plugins(values)?;
        if let Some(value) = values.get("builder") {
            config.builds = builder::parse(value)?;
        }
        config.image_gc = values.get("image-gc").map(image_gc::parse).transpose()?;
        config.debug = self.log_level >= LevelFilter::DEBUG;
        config.experimental = self.experimental;
        config.warm_shims = count(values, "warm-shims", config.warm_shims)?;
        Ok(config)
    }

    /// The options that differ in `new` and cannot change in a running daemon.
    pub(super) fn changed_in(&self, new: &Self) -> Vec<String> {
        let names = self.values.keys().chain(new.values.keys());
        let mut changed: Vec<String> = names
            .filter(|name| !LIVE.contains(&name.as_str()))
            .filter(|name| self.values.get(*name) != new.values.get(*name))
            .cloned()
            .collect();
        changed.sort();
        changed.dedup();
        changed
    }

    /// Takes over the options that can change in a running daemon.
    pub(super) fn take_over(&mut self, new: Self) {
        self.log_level = new.log_level;
        self.live_restore = new.live_restore;
        self.shutdown_timeout = new.shutdown_timeout;
        self.buildkit = new.buildkit;
        for name in LIVE {
            match new.values.get(name) {
                Some(value) => drop(self.values.insert(name.to_owned(), value.clone())),
                None => drop(self.values.remove(name)),
            }
        }
    }

    /// What the event of a reload says of them, by Docker's names.
    pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
        let debug = self.log_level >= LevelFilter::DEBUG;
        let labels = strings(&self.values, "label");
        let counted = |name, default| number(&self.values, name, default).to_string();
        let listed = |name| Value::from(strings(&self.values, name)).to_string();
        vec![
            ("debug", debug.to_string()),
            ("default-runtime", "gantry".to_owned()),
            ("insecure-registries", listed("insecure-registry")),
            ("labels", format!("{labels:?}")),
            ("live-restore", self.live_restore.to_string()),
            (
                "max-concurrent-downloads",
                counted("max-concurrent-downloads", 3),
            ),
            (
                "max-concurrent-uploads",
                counted("max-concurrent-uploads", 5),
            ),
            ("max-download-attempts", counted("max-download-attempts", 5)),
            ("registry-mirrors", listed("registry-mirror")),
            ("shutdown-timeout", self.shutdown_timeout.to_string()),
        ]
    }

    fn ulimits(&self) -> Result<Vec<Ulimit>, String> {
        let Some(Value::Object(limits)) = self.values.get("default-ulimit") else {
            return Ok(Vec::new());
        };
        limits
            .iter()
            .map(|(name, limit)| {
                let mut limit: Ulimit = serde_json::from_value(limit.clone())
                    .map_err(|error| format!("default-ulimits: {name}: {error}"))?;
                limit.name.clone_from(name);
                Ok(limit)
            })
            .collect()
    }

    /// How registries are spoken to.
    ///
    /// # Errors
    /// Names what is wrong.
    pub(super) fn registries(&self) -> Result<Registries, String> {
        let values = &self.values;
        let mut config = Registries::default();
        config.mirrors = strings(values, "registry-mirror");
        config.insecure = strings(values, "insecure-registry");
        if let Some(rules) = values.get("registries") {
            config.rules = serde_json::from_value(rules.clone())
                .map_err(|error| format!("registries: {error}"))?;
        }
        let attempts = number(values, "max-download-attempts", 5);
        config.attempts = u32::try_from(attempts)
            .ok()
            .filter(|attempts| *attempts > 0)
            .ok_or_else(|| format!("invalid max download attempts: {attempts}"))?;
        let given = ["http-proxy", "https-proxy", "no-proxy"]
            .map(|name| text(values, name).unwrap_or_default());
        config.proxies = Proxies::or_environment(given, |name| std::env::var(name).ok())
            .map_err(|error| error.to_string())?;
        gantry_registry::Client::new(config.clone()).map_err(|error| error.to_string())?;
        Ok(config)
    }

    /// How many layers come, and how many leave, at a time. As in Docker, zero is as
    /// many as there are.
    pub(super) fn concurrency(&self) -> Result<(usize, usize), String> {
        let most = |name, default| {
            let given = count(&self.values, name, default)?;
            Ok::<_, String>(if given == 0 { usize::MAX } else { given })
        };
        Ok((
            most("max-concurrent-downloads", 3)?,
            most("max-concurrent-uploads", 5)?,
        ))
    }

    /// Which images must be signed, and by whom.
    fn trust_policy(&self) -> Result<Vec<TrustRule>, String> {
        let Some(rules) = self.values.get("trust-policy") else {
            return Ok(Vec::new());
        };
        let rules: Vec<TrustRule> = serde_json::from_value(rules.clone())
            .map_err(|error| format!("trust-policy: {error}"))?;
        TrustPolicy::open(&self.data_root.join("trust"), &rules)
            .map_err(|error| error.to_string())?;
        Ok(rules)
    }

    fn labels(&self) -> Result<Vec<String>, String> {
        let labels = strings(&self.values, "label");
        match labels.iter().find(|label| !label.contains('=')) {
            Some(label) => Err(format!("bad attribute format: {label}")),
            None => Ok(labels),
        }
    }
}

fn listen_options(values: &Values) -> ListenOptions {
    let verify = switch(values, "tlsverify", false);
    let wanted = verify || switch(values, "tls", false);
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let file = |name: &str, default: &str| {
        let default = home.join(".docker").join(default);
        text(values, name).map_or(default, PathBuf::from)
    };
    ListenOptions {
        group: text(values, "group").map(str::to_owned),
        tls: wanted.then(|| TlsFiles {
            client_ca: verify.then(|| file("tlscacert", "ca.pem")),
            certificate: file("tlscert", "cert.pem"),
            key: file("tlskey", "key.pem"),
        }),
        insecure_tcp: switch(values, "insecure-tcp", false),
    }
}

fn log_level(values: &Values) -> Result<LevelFilter, String> {
    if switch(values, "debug", false) {
        return Ok(LevelFilter::DEBUG);
    }
    match text(values, "log-level").unwrap_or("info") {
        "trace" => Ok(LevelFilter::TRACE),
        "debug" => Ok(LevelFilter::DEBUG),
        "info" => Ok(LevelFilter::INFO),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "error" | "fatal" | "panic" => Ok(LevelFilter::ERROR),
        other => Err(format!("invalid logging level: {other}")),
    }
}

fn log_format(values: &Values) -> Result<LogFormat, String> {
    match text(values, "log-format").unwrap_or("text") {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("invalid log format: {other}")),
    }
}

fn idle_exit(values: &Values) -> Result<Option<Duration>, String> {
    let Some(given) = text(values, "idle-exit") else {
        return Ok(None);
    };
    let limit = quantity::duration(given).map_err(|error| format!("--idle-exit: {error}"))?;
    Ok((!limit.is_zero()).then_some(limit))
}

/// `features`: `buildkit`, and such as are off here anyway.
fn features(values: &Values) -> Result<bool, String> {
    let Some(features) = values.get("features") else {
        return Ok(true);
    };
    let features: BTreeMap<String, bool> =
        serde_json::from_value(features.clone()).map_err(|error| format!("features: {error}"))?;
    let mut buildkit = true;
    for (name, on) in features {
        match (name.as_str(), on) {
            ("buildkit", on) => buildkit = on,
            ("cdi" | "containerd-snapshotter" | "windows-dns-proxy", false) => {}
            (name, _) => return Err(format!("feature {name} is not supported yet")),
        }
    }
    Ok(buildkit)
}

/// How much containers may write: the one option of storage drivers that there is.
fn storage_size(values: &Values) -> Result<Option<String>, String> {
    let mut found = None;
    for option in strings(values, "storage-opt") {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        if !name.eq_ignore_ascii_case("overlay2.size") {
            return Err(format!("overlay2: unknown option {name}"));
        }
        quantity::bytes(value).map_err(|error| format!("--storage-opt {name}: {error}"))?;
        found = Some(value.to_owned());
    }
    Ok(found)
}

/// The default modes of IPC and cgroup namespaces.
fn namespaces(values: &Values) -> Result<(String, Option<String>), String> {
    let ipc = match text(values, "default-ipc-mode") {
        None | Some("") => "private",
        Some(mode @ ("private" | "shareable")) => mode,
        Some(mode) => {
            return Err(format!(
                "IPC mode {mode:?} is not supported as default value; use \"shareable\" or \"private\""
            ));
        }
    };
    let cgroup = match text(values, "default-cgroupns-mode") {
        None | Some("") => None,
        Some(mode @ ("private" | "host")) => Some(mode.to_owned()),
        Some(mode) => {
            return Err(format!(
                "invalid default cgroup namespace ({mode}): use \"host\" or \"private\""
            ));
        }
    };
    Ok((ipc.to_owned(), cgroup))
}

/// The JSON of the default profile, or `unconfined`.
fn seccomp_profile(values: &Values) -> Result<Option<String>, String> {
    match text(values, "seccomp-profile") {
        None | Some("" | "builtin" | "default") => Ok(None),
        Some("unconfined") => Ok(Some("unconfined".to_owned())),
        Some(file) => std::fs::read_to_string(file)
            .map(Some)
            .map_err(|error| format!("opening seccomp profile ({file}) failed: {error}")),
    }
}

/// Where volume plug-ins are, and how long they may take.
fn volume_plugins(values: &Values) -> Result<(PluginFolders, Patience), String> {
    let folders = match text(values, "plugin-dir") {
        None | Some("") => PluginFolders::default(),
        Some(folder) if folder.starts_with('/') => PluginFolders::only(Path::new(folder)),
        Some(folder) => return Err(format!("--plugin-dir: {folder:?} is no absolute path")),
    };
    let mut patience = Patience::default();
    if let given @ 1.. = count(values, "plugin-timeout", 0)? {
        patience.working = Duration::from_secs(given as u64);
        patience.asking = patience.asking.min(patience.working);
    }
    Ok((folders, patience))
}

/// Whose subordinate ids containers have.
fn remap(values: &Values) -> Result<Option<IdMap>, String> {
    match text(values, "userns-remap") {
        None | Some("") => Ok(None),
        Some(whose) => IdMap::of_remap(whose)
            .map(Some)
            .map_err(|error| format!("--userns-remap: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(values: Value) -> Result<Settings, String> {
        match values {
            Value::Object(values) => Settings::from_values(values),
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn defaults_are_dockers_where_clients_look() {
        let settings = settings(json!({})).unwrap();
        assert_eq!(settings.hosts, [Address::Unix(DEFAULT_SOCKET.into())]);
        assert_eq!(settings.pidfile, Path::new("/run/gantry/gantry.pid"));
        assert!(settings.live_restore && settings.listen.tls.is_none());
        assert_eq!(settings.idle_exit, None);
    }

    #[test]
    fn what_can_change_is_taken_over() {
        let mut running = settings(json!({"mtu": 1400})).unwrap();
        let new = settings(json!({"live-restore": false, "debug": true, "icc": false})).unwrap();
        assert_eq!(running.changed_in(&new), ["icc", "mtu"]);
        running.take_over(new);
        assert!(!running.live_restore);
        assert_eq!(running.log_level, LevelFilter::DEBUG);
        let back = settings(json!({"mtu": 1400})).unwrap();
        assert_eq!(running.changed_in(&back), [""; 0]);
    }

    #[test]
    fn wrong_values_are_named() {
        for (values, part) in [
            (json!({"host": ["x"]}), "--host: invalid bind address"),
            (json!({"host": ["tcp://0.0.0.0"]}), "--insecure-tcp"),
            (json!({"group": "no-such-group"}), "group no-such-group"),
            (json!({"bip": "x"}), "--bip: "),
            (json!({"mtu": 3}), "--mtu: expected"),
            (json!({"label": ["x"]}), "bad attribute format: x"),
            (json!({"log-level": "loud"}), "invalid logging level: loud"),
            (json!({"log-format": "xml"}), "invalid log format: xml"),
            (json!({"trust-policy": [{"prefix": 1}]}), "trust-policy: "),
            (
                json!({"registry-mirror": ["m"]}),
                "invalid mirror: \"m\": no scheme",
            ),
            (
                json!({"insecure-registry": ["a/b"]}),
                "invalid insecure registry: ",
            ),
            (
                json!({"registries": [{"x": 1}]}),
                "registries: unknown field",
            ),
            (
                json!({"features": {"cdi": true}}),
                "feature cdi is not supported yet",
            ),
            (
                json!({"default-ipc-mode": "host"}),
                "IPC mode \"host\" is not supported as default value",
            ),
            (
                json!({"default-cgroupns-mode": "x"}),
                "invalid default cgroup namespace (x)",
            ),
            (json!({"warm-shims": -1}), "--warm-shims: expected"),
            (
                json!({"userland-proxy-path": "docker-proxy"}),
                "must be an absolute path: docker-proxy",
            ),
            (
                json!({"bridge-accept-fwmark": "1/x"}),
                "invalid firewall mask \"1/x\": invalid digit",
            ),
            (
                json!({"layer-compression": "xz"}),
                "invalid layer-compression: xz",
            ),
            (
                json!({"max-download-attempts": 0}),
                "invalid max download attempts: 0",
            ),
            (
                json!({"default-address-pool": [{"base": "x", "size": 1}]}),
                "default-address-pools: ",
            ),
            (
                json!({"default-ulimit": {"nofile": 3}}),
                "default-ulimits: nofile: ",
            ),
            (
                json!({"bridge": "a", "bridge-name": "b"}),
                "exclude each other",
            ),
        ] {
            let error = settings(values).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
