//! `info`: the state of the daemon and its host.

use futures_util::future::LocalBoxFuture;
use gantry_api::Info;
use gantry_gotemplate::{Absent, Scope, Template};
use serde_json::{Value, json};

use super::Outcome;
use crate::args::Matches;
use crate::error::Error;
use crate::output::human;
use crate::output::json::escape_html;
use crate::plugins::{self, Plugin};
use crate::session::Session;
use crate::settings::Settings;
use crate::transport::Call;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `docker info`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let format = matches.text("format");
        let template = match format {
            "" | "json" => None,
            text => Some(Template::parse(text).map_err(|error| Error::Status {
                message: format!("template parsing error: {error}"),
                code: 64,
            })?),
        };
        let answer: Result<Value, Error> = session.client.json(&Call::get("/info")).await;
        if format.is_empty() {
            let plugins = plugins::list(&session.settings);
            session.printer.out(&client(session, &plugins));
            for plugin in &plugins {
                let path = plugin.path.display();
                if let Some(fault) = &plugin.fault {
                    let text = format!("WARNING: Plugin \"{path}\" is not valid: {fault}");
                    session.printer.error_line(&text);
                }
            }
            session.printer.out("\nServer:\n");
            let info = match answer {
                Ok(value) => serde_json::from_value::<Info>(value)
                    .map_err(|error| Error::message(format!("invalid answer to info: {error}")))?,
                Err(error) => {
                    session.printer.error_line(&format!("ERROR: {error}"));
                    return Err(Error::message("errors pretty printing info"));
                }
            };
            session.printer.out(&server(&info));
            for warning in info.warnings.iter().flatten() {
                session.printer.error_line(warning);
            }
            return Ok(0);
        }
        let mut value = answer?;
        if let Some(map) = value.as_object_mut() {
            let context = &session.settings.context;
            let plugins = plugins::list(&session.settings);
            let plugins: Vec<Value> = plugins.iter().map(Plugin::to_json).collect();
            map.insert(
                "ClientInfo".to_owned(),
                json!({"Debug": session.settings.debug, "Version": VERSION, "Platform": {"Name": "Gantry"}, "Context": context, "Plugins": plugins, "Warnings": null}),
            );
        }
        let shown = match template {
            None => escape_html(&value.to_string()),
            Some(template) => template.render(&value, &InfoScope).map_err(|error| {
                session.printer.out("\n");
                Error::message(error.to_string())
            })?,
        };
        session.printer.line(&shown);
        Ok(0)
    })
}

struct InfoScope;

impl Scope for InfoScope {
    fn nil(&self, _: &str) -> &'static str {
        "[]"
    }

    fn absent(&self, field: &str) -> Absent {
        if let Some(value) = plugins::unsaid(field) {
            return Absent::Value(value);
        }
        Absent::Error(format!(
            "can't evaluate field {field} in type system.dockerInfo"
        ))
    }
}

fn client(session: &Session, plugins: &[Plugin]) -> String {
    let Settings { context, debug, .. } = &*session.settings;
    let mut lines = Lines(format!(
        "Client: Gantry\n Version:    {VERSION}\n Context:    {context}\n Debug Mode: {debug}\n"
    ));
    let valid = plugins.iter().filter(|plugin| plugin.fault.is_none());
    for (index, plugin) in valid.enumerate() {
        if index == 0 {
            lines.0.push_str(" Plugins:\n");
        }
        let about = format!("{} ({})", plugin.summary(), plugin.vendor());
        lines.sub(&plugin.name, about);
        if !plugin.version().is_empty() {
            lines.sub("  Version", format!(" {}", plugin.version()));
        }
        lines.sub("  Path", format!("    {}", plugin.path.display()));
    }
    lines.0
}

/// The lines of the server, one after the other.
struct Lines(String);

impl Lines {
    fn put(&mut self, label: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!(" {label}: {value}\n"));
    }

    fn sub(&mut self, label: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("  {label}: {value}\n"));
    }

    fn some(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            self.put(label, value);
        }
    }

    fn list<'a>(&mut self, label: &str, items: impl Iterator<Item = &'a str>) {
        let items: Vec<&str> = items.collect();
        if items.is_empty() {
            return;
        }
        self.0.push_str(&format!(" {label}:\n"));
        for item in items {
            self.0.push_str(&format!("  {item}\n"));
        }
    }
}

fn server(info: &Info) -> String {
    let mut lines = Lines(String::new());
    lines.put("Containers", info.containers);
    lines.sub("Running", info.containers_running);
    lines.sub("Paused", info.containers_paused);
    lines.sub("Stopped", info.containers_stopped);
    lines.put("Images", info.images);
    lines.some("Server Version", &info.server_version);
    lines.some("Storage Driver", &info.driver);
    for [label, value] in &info.driver_status {
        lines.sub(label, value);
    }
    lines.some("Logging Driver", &info.logging_driver);
    if !info.log_rotation.is_empty() {
        lines.sub("Rotation", &info.log_rotation);
    }
    lines.some("Cgroup Driver", &info.cgroup_driver);
    lines.some("Cgroup Version", &info.cgroup_version);
    lines.0.push_str(" Plugins:\n");
    lines.sub("Volume", info.plugins.volume.join(" "));
    lines.sub("Network", info.plugins.network.join(" "));
    lines.sub("Log", info.plugins.log.join(" "));
    lines.list(
        "CDI spec directories",
        info.cdi_spec_dirs.iter().flatten().map(String::as_str),
    );
    lines.some("Swarm", &info.swarm.local_node_state);
    if !info.runtimes.is_empty() {
        let names: Vec<&str> = info.runtimes.keys().map(String::as_str).collect();
        lines.put("Runtimes", names.join(" "));
        lines.put("Default Runtime", &info.default_runtime);
    }
    lines.put("Init Binary", &info.init_binary);
    lines.put("containerd version", &info.containerd_commit.id);
    lines.put("runc version", &info.runc_commit.id);
    lines.put("init version", &info.init_commit.id);
    security(&mut lines, info);
    host(&mut lines, info);
    lines.0
}

/// `name=seccomp,profile=builtin`, an option and its details.
fn security(lines: &mut Lines, info: &Info) {
    if info.security_options.is_empty() {
        return;
    }
    lines.0.push_str(" Security Options:\n");
    for option in &info.security_options {
        let mut pairs = option.split(',').filter_map(|pair| pair.split_once('='));
        let Some((_, name)) = pairs.next() else {
            lines.0.push_str(&format!("  {option}\n"));
            continue;
        };
        lines.0.push_str(&format!("  {name}\n"));
        for (key, value) in pairs {
            let label = match key {
                "profile" => "Profile",
                other => other,
            };
            lines.0.push_str(&format!("   {label}: {value}\n"));
        }
    }
}

fn host(lines: &mut Lines, info: &Info) {
    lines.some("Kernel Version", &info.kernel_version);
    lines.some("Operating System", &info.operating_system);
    lines.some("OSType", &info.os_type);
    lines.some("Architecture", &info.architecture);
    lines.put("CPUs", info.ncpu);
    lines.put("Total Memory", human::binary_size(info.mem_total));
    lines.some("Name", &info.name);
    lines.some("ID", &info.id);
    lines.some("Docker Root Dir", &info.docker_root_dir);
    lines.put("Debug Mode", info.debug);
    if info.debug {
        lines.sub("File Descriptors", info.n_fd);
        lines.sub("Goroutines", info.n_goroutines);
        lines.sub("System Time", &info.system_time);
        lines.sub("EventsListeners", info.n_events_listener);
    }
    lines.some("HTTP Proxy", &info.http_proxy);
    lines.some("HTTPS Proxy", &info.https_proxy);
    lines.some("No Proxy", &info.no_proxy);
    lines.list("Labels", info.labels.iter().map(String::as_str));
    lines.put("Experimental", info.experimental_build);
    if let Some(registry) = &info.registry_config {
        let value = serde_json::to_value(registry).unwrap_or_default();
        let mut insecure: Vec<String> = Vec::new();
        for (name, index) in value["IndexConfigs"].as_object().into_iter().flatten() {
            if index["Secure"] == Value::Bool(false) {
                insecure.push(name.clone());
            }
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        insecure.extend(
            value["InsecureRegistryCIDRs"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(text),
        );
        lines.list("Insecure Registries", insecure.iter().map(String::as_str));
        let mirrors: Vec<String> = value["Mirrors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(text)
            .collect();
        lines.list("Registry Mirrors", mirrors.iter().map(String::as_str));
    }
    lines.put("Live Restore Enabled", info.live_restore_enabled);
    if let Some(firewall) = &info.firewall_backend {
        let value = serde_json::to_value(firewall).unwrap_or_default();
        lines.some("Firewall Backend", value["Driver"].as_str().unwrap_or(""));
    }
    lines.0.push('\n');
}
