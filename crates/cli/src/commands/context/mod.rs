//! Contexts: names for daemons. None of these commands talks to one.

mod archive;
mod change;
mod options;

use gantry_types::sort::IntoMap;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

pub(crate) use archive::{export, import};
pub(crate) use change::{create, remove, select, update};

use super::names::{self, natural_order};
use super::{Outcome, inspect};
use crate::args::Matches;
use crate::error::Error;
use crate::output::formatter::{Row, Shape, render};
use crate::session::Session;
use crate::settings::{DEFAULT_CONTEXT, DOCKER_ENDPOINT, Meta};

/// The default context, as a stored one would look.
fn default_meta(session: &Session) -> Meta {
    let docker = json!({"Host": session.settings.default_host, "SkipTLSVerify": false});
    let docker = docker.as_object().cloned().unwrap_or_default();
    Meta {
        name: DEFAULT_CONTEXT.to_owned(),
        endpoints: gantry_types::sort::map([(DOCKER_ENDPOINT.to_owned(), docker)]),
        ..Meta::default()
    }
}

/// A context, the default one too.
fn get(session: &Session, name: &str) -> Result<Meta, Error> {
    match name {
        DEFAULT_CONTEXT => Ok(default_meta(session)),
        name => session.settings.contexts.get(name),
    }
}

/// Says that DOCKER_HOST wins over contexts, when it does.
fn warn_of_host(session: &Session, to_use: &str) {
    if std::env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty()) {
        session.printer.error_line(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {to_use}, either set the global --context flag, or unset DOCKER_HOST environment variable."
        ));
    }
}

/// `docker context ls`.
pub(crate) fn list<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let current = session.settings.context.as_str();
        let mut all = session.settings.contexts.list()?;
        all.push(default_meta(session));
        gantry_types::sort::by(&mut all, |a, b| natural_order(&a.name, &b.name));
        let mut rows: Vec<Row> = all.iter().map(|meta| row(meta, current, "")).collect();
        if !all.iter().any(|meta| meta.name == current) {
            let missing = Meta {
                name: current.to_owned(),
                ..Meta::default()
            };
            let reason = match session.settings.contexts.get(current) {
                Err(error) => error.to_string(),
                Ok(_) => String::new(),
            };
            rows.push(row(&missing, current, &reason));
        }
        let format = match matches.bool("quiet") {
            true => "{{.Name}}",
            false => matches.text("format"),
        };
        session
            .printer
            .out(&render(&shape(), &rows, format, false)?);
        warn_of_host(session, "a context");
        Ok(0)
    })
}

fn shape() -> Shape {
    Shape {
        type_name: "formatter.clientContextContext",
        headers: &[
            ("Name", "NAME"),
            ("Description", "DESCRIPTION"),
            ("DockerEndpoint", "DOCKER ENDPOINT"),
            ("Error", "ERROR"),
        ],
        table:
            "{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}"
                .to_owned(),
        raw: "raw".to_owned(),
        quiet: "Name",
        raw_quiet: "name",
        tried_first: false,
    }
}

fn row(meta: &Meta, current: &str, error: &str) -> Row {
    let mut row = Row::default();
    let description = match meta.name.as_str() {
        DEFAULT_CONTEXT => "Current DOCKER_HOST based configuration",
        _ => meta.description(),
    };
    row.set("Name", meta.name.as_str());
    row.set("Current", meta.name == current);
    row.set("Description", description);
    row.set("DockerEndpoint", meta.host());
    row.set("Error", names::ellipsis(error, 45));
    row
}

/// `docker context show`.
pub(crate) fn show<'a>(session: &'a Session, _: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        session.printer.line(&session.settings.context);
        Ok(0)
    })
}

/// `docker context inspect`.
pub(crate) fn inspect<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut names = matches.operands.clone();
        if names.is_empty() {
            names.push(session.settings.context.clone());
        }
        let objects = names.iter().map(|name| object(session, name));
        inspect::show_all(session, matches, objects.collect())
    })
}

fn object(session: &Session, name: &str) -> Result<String, Error> {
    let meta = get(session, name)?;
    let store = &session.settings.contexts;
    let material: std::collections::BTreeMap<String, Vec<String>> = store
        .tls(name)?
        .into_iter()
        .map(|(endpoint, files)| (endpoint, files.into_keys().collect()))
        .into_map();
    let storage = match name {
        DEFAULT_CONTEXT => json!({"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"}),
        name => json!({
            "MetadataPath": store.meta_folder(name),
            "TLSPath": store.tls_folder(name),
        }),
    };
    let mut value = serde_json::to_value(meta).unwrap_or(Value::Null);
    value["TLSMaterial"] = json!(material);
    value["Storage"] = storage;
    Ok(crate::output::json::escape_html(&value.to_string()))
}
