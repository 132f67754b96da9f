//! `version`: of the client, then of the daemon.

use futures_util::future::LocalBoxFuture;
use gantry_api::{ApiVersion, Version};
use gantry_gotemplate::{Absent, Scope, Template};
use serde_json::{Value, json};

use super::{Outcome, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::output::human;
use crate::session::Session;
use crate::transport::Call;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn commit() -> &'static str {
    option_env!("GANTRY_COMMIT").unwrap_or("unknown")
}

fn arch() -> String {
    gantry_types::Platform::host().architecture
}

/// The answer to `--version`.
pub(crate) fn short() -> String {
    format!("Gantry version {VERSION}, build {}", commit())
}

/// `docker version`.
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
        let server: Result<Version, Error> = match session.client.ping().await {
            Ok(_) => session.client.json(&Call::get("/version")).await,
            Err(error) => Err(error),
        };
        let known = server.as_ref().ok();
        match (&template, format) {
            (None, "json") => session
                .printer
                .line(&values(session, known, true).to_string()),
            (None, _) => session.printer.out(&table(session, known)),
            (Some(template), _) => {
                let data = values(session, known, format.contains("json"));
                let shown = template.render(&data, &Names).map_err(|error| {
                    session.printer.out("\n");
                    let text = error.to_string();
                    let text = text.replacen("template: :", "template: version:", 1);
                    Error::message(text.replacen("executing \"\"", "executing \"version\"", 1))
                })?;
                session.printer.line(&shown);
            }
        }
        server.map(|_| 0)
    })
}

/// What Go's version type does not have.
struct Names;

impl Scope for Names {
    fn shown(&self, value: &Value) -> Option<String> {
        typed::text(value)
    }

    fn nil(&self, _: &str) -> &'static str {
        "<nil>"
    }

    fn absent(&self, field: &str) -> Absent {
        match field {
            "Platform" | "Components" => Absent::Value(Value::Null),
            "Experimental" => Absent::Value(Value::Bool(false)),
            "KernelVersion" | "BuildTime" => Absent::Value(Value::from("")),
            _ => Absent::Error(format!(
                "can't evaluate field {field} in type system.versionInfo"
            )),
        }
    }
}

/// Client and server, under the names of the JSON or of Go's types.
fn values(session: &Session, server: Option<&Version>, wire: bool) -> Value {
    let api = if wire { "ApiVersion" } else { "APIVersion" };
    let client = json!({
        "Platform": {"Name": "Gantry"},
        "Version": VERSION,
        api: session.client.version().to_string(),
        "DefaultAPIVersion": ApiVersion::MAX.to_string(),
        "GitCommit": commit(),
        "GoVersion": "",
        "Os": "linux",
        "Arch": arch(),
        "BuildTime": "",
        "Context": session.settings.context,
    });
    let mut server = server.map_or(Value::Null, |version| json!(dated(version)));
    if let (false, Some(map)) = (wire, server.as_object_mut())
        && let Some(value) = map.remove("ApiVersion")
    {
        map.insert(api.to_owned(), value);
    }
    json!({"Client": client, "Server": server})
}

/// The version with the build times of its components in words.
fn dated(version: &Version) -> Version {
    let mut version = version.clone();
    for component in &mut version.components {
        if let Some(text) = component
            .details
            .as_mut()
            .and_then(|d| d.get_mut("BuildTime"))
        {
            *text = human::ansi_time(text);
        }
    }
    version
}

fn put(out: &mut String, indent: &str, label: &str, value: &str) {
    let head = format!("{indent}{label}:");
    out.push_str(&format!("{head:<20}{value}\n"));
}

fn table(session: &Session, server: Option<&Version>) -> String {
    let mut out = String::from("Client: Gantry\n");
    let agreed = session.client.version();
    let api = match agreed == ApiVersion::MAX {
        true => agreed.to_string(),
        false => format!("{agreed} (downgraded from {})", ApiVersion::MAX),
    };
    put(&mut out, " ", "Version", VERSION);
    put(&mut out, " ", "API version", &api);
    put(&mut out, " ", "Git commit", commit());
    put(&mut out, " ", "OS/Arch", &format!("linux/{}", arch()));
    put(&mut out, " ", "Context", &session.settings.context);
    let Some(server) = server else { return out };
    match server.platform.name.as_str() {
        "" => out.push_str("\nServer:\n"),
        name => out.push_str(&format!("\nServer: {name}\n")),
    }
    for component in &server.components {
        out.push_str(&format!(" {}:\n", component.name));
        put(&mut out, "  ", "Version", &component.version);
        let empty = std::collections::BTreeMap::new();
        let details = component.details.as_ref().unwrap_or(&empty);
        let detail = |key: &str| details.get(key).map_or("", String::as_str);
        if component.name != "Engine" {
            for (key, value) in details {
                put(&mut out, "  ", key, value);
            }
            continue;
        }
        let api = format!(
            "{} (minimum version {})",
            detail("ApiVersion"),
            detail("MinAPIVersion")
        );
        put(&mut out, "  ", "API version", &api);
        if !detail("GoVersion").is_empty() {
            put(&mut out, "  ", "Go version", detail("GoVersion"));
        }
        put(&mut out, "  ", "Git commit", detail("GitCommit"));
        if !detail("BuildTime").is_empty() {
            put(
                &mut out,
                "  ",
                "Built",
                &human::ansi_time(detail("BuildTime")),
            );
        }
        put(
            &mut out,
            "  ",
            "OS/Arch",
            &format!("{}/{}", detail("Os"), detail("Arch")),
        );
        put(&mut out, "  ", "Experimental", detail("Experimental"));
    }
    out
}
