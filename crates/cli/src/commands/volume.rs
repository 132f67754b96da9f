//! The volumes: create, list, remove.

use std::collections::BTreeMap;

use futures_util::future::LocalBoxFuture;
use gantry_types::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, filters, names::natural_order};
use crate::args::Matches;
use crate::container_options::pairs;
use crate::error::Error;
use crate::output::formatter::{Row, Shape, render};
use crate::output::human;
use crate::session::Session;
use crate::transport::{Call, encode};

/// A volume, as lists have it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Volume {
    name: String,
    driver: String,
    scope: String,
    mountpoint: String,
    labels: Option<BTreeMap<String, String>>,
    pub(super) usage_data: Option<Usage>,
}

/// How much a volume holds, and how many containers use it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Usage {
    pub(super) ref_count: i64,
    pub(super) size: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    volumes: Option<Vec<Volume>>,
    warnings: Option<Vec<String>>,
}

/// `docker volume create`.
pub(crate) fn create<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let named = matches.text("name");
        let operand = matches.operands.first().map_or("", String::as_str);
        if !named.is_empty() && !operand.is_empty() {
            return Err(Error::message(
                "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
            ));
        }
        let given = |flag: &str| Some(pairs(&matches.list(flag))).filter(|pairs| !pairs.is_empty());
        let body = json!({
            "Name": if named.is_empty() { operand } else { named },
            "Driver": matches.text("driver"),
            "DriverOpts": given("opt"),
            "Labels": given("label"),
        });
        let created: Value = session
            .client
            .json(&Call::post("/volumes/create").json(&body)?)
            .await?;
        session.printer.line(created["Name"].as_str().unwrap_or(""));
        Ok(0)
    })
}

/// `docker volume ls`.
pub(crate) fn list<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let call = Call::get("/volumes").query_some("filters", &filters::query(matches));
        let listed: Listed = session.client.json(&call).await?;
        for warning in listed.warnings.iter().flatten() {
            session.printer.error_line(&format!("WARNING: {warning}"));
        }
        let mut volumes = listed.volumes.unwrap_or_default();
        gantry_types::sort::by(&mut volumes, |a, b| natural_order(&a.name, &b.name));
        let quiet = matches.bool("quiet");
        let mut format = matches.text("format").to_owned();
        if format.is_empty() && !quiet {
            format.clone_from(&session.settings.config.volumes_format);
        }
        let rows: Vec<Row> = volumes.iter().map(row).collect();
        session
            .printer
            .out(&render(&shape(), &rows, &format, quiet)?);
        Ok(0)
    })
}

/// The shape of a list of volumes.
pub(super) fn shape() -> Shape {
    Shape {
        type_name: "formatter.volumeContext",
        headers: &[
            ("ID", "ID"),
            ("Name", "VOLUME NAME"),
            ("Group", "GROUP"),
            ("Driver", "DRIVER"),
            ("Scope", "SCOPE"),
            ("Availability", "AVAILABILITY"),
            ("Mountpoint", "MOUNTPOINT"),
            ("Labels", "LABELS"),
            ("Links", "LINKS"),
            ("Size", "SIZE"),
            ("Status", "STATUS"),
        ],
        table: "{{.Driver}}\t{{.Name}}".to_owned(),
        raw: "name: {{.Name}}\ndriver: {{.Driver}}\n".to_owned(),
        quiet: "Name",
        raw_quiet: "name",
        tried_first: false,
    }
}

/// A row of a list of volumes.
pub(super) fn row(volume: &Volume) -> Row {
    let mut row = Row::default();
    row.set("Name", volume.name.as_str());
    row.set("Driver", volume.driver.as_str());
    row.set("Scope", volume.scope.as_str());
    row.set("Mountpoint", volume.mountpoint.as_str());
    let (links, size) = match &volume.usage_data {
        Some(usage) => (usage.ref_count.to_string(), human::size(usage.size, 4)),
        None => ("N/A".to_owned(), "N/A".to_owned()),
    };
    row.set("Links", links);
    row.set("Size", size);
    // Those of a swarm's cluster volumes.
    for field in ["Group", "Availability", "Status"] {
        row.set(field, "N/A");
    }
    row.set_labels(volume.labels.iter().flatten());
    row
}

/// `docker volume rm`.
pub(crate) fn remove<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let force = matches.bool("force");
        let mut failures = Vec::new();
        for name in &matches.operands {
            if name.trim().is_empty() {
                failures.push("invalid volume name or ID: value is empty".to_owned());
                continue;
            }
            let call = Call::delete(format!("/volumes/{}", encode(name))).query_if("force", force);
            match session.client.done(&call).await {
                Ok(()) => session.printer.line(name),
                Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => {
                    return Err(error);
                }
                Err(error) if force && error.kind() == ErrorKind::NotFound => {
                    session.printer.line(name);
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        match failures.is_empty() {
            true => Ok(0),
            false => Err(Error::Several(failures)),
        }
    })
}
