//! The networks: create, list, connect, disconnect, remove.

use std::collections::BTreeMap;

use futures_util::future::LocalBoxFuture;
use gantry_types::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, filters, names, names::natural_order, prune};
use crate::args::Matches;
use crate::container_options::pairs;
use crate::error::Error;
use crate::output::formatter::{Row, Shape, render};
use crate::session::Session;
use crate::transport::{Call, encode};

mod subnets;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    id: String,
    name: String,
    driver: String,
    scope: String,
    #[serde(default)]
    created: String,
    #[serde(default, rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(default, rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    ingress: bool,
    labels: Option<BTreeMap<String, String>>,
}

fn path(name: &str, action: &str) -> Result<String, Error> {
    if name.trim().is_empty() {
        return Err(Error::message("invalid network name or ID: value is empty"));
    }
    Ok(format!("/networks/{}{action}", encode(name)))
}

/// `docker network create`.
pub(crate) fn create<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let given = |name: &str| matches.changed(name).then(|| matches.bool(name));
        let from = matches.text("config-from");
        let body = json!({
            "Name": matches.operands[0],
            "Driver": matches.text("driver"),
            "Scope": matches.text("scope"),
            "EnableIPv4": given("ipv4"),
            "EnableIPv6": given("ipv6"),
            "IPAM": {
                "Driver": matches.text("ipam-driver"),
                "Options": pairs(&matches.list("ipam-opt")),
                "Config": subnets::config(matches)?,
            },
            "Internal": matches.bool("internal"),
            "Attachable": matches.bool("attachable"),
            "Ingress": matches.bool("ingress"),
            "ConfigOnly": matches.bool("config-only"),
            "ConfigFrom": (!from.is_empty()).then(|| json!({"Network": from})),
            "Options": pairs(&matches.list("opt")),
            "Labels": pairs(&matches.list("label")),
        });
        let created: Value = session
            .client
            .json(&Call::post("/networks/create").json(&body)?)
            .await?;
        if let Some(warning) = created["Warning"].as_str().filter(|text| !text.is_empty()) {
            session.printer.error_line(&format!("WARNING: {warning}"));
        }
        session.printer.line(created["Id"].as_str().unwrap_or(""));
        Ok(0)
    })
}

/// `docker network ls`.
pub(crate) fn list<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let call = Call::get("/networks").query_some("filters", &filters::query(matches));
        let mut networks: Vec<Summary> = session.client.json(&call).await?;
        gantry_types::sort::by(&mut networks, |a, b| natural_order(&a.name, &b.name));
        let quiet = matches.bool("quiet");
        let mut format = matches.text("format").to_owned();
        if format.is_empty() && !quiet {
            format.clone_from(&session.settings.config.networks_format);
        }
        let truncate = !matches.bool("no-trunc");
        let rows: Vec<Row> = networks
            .iter()
            .map(|network| row(network, truncate))
            .collect();
        session
            .printer
            .out(&render(&shape(), &rows, &format, quiet)?);
        Ok(0)
    })
}

fn shape() -> Shape {
    Shape {
        type_name: "network.networkContext",
        headers: &[
            ("ID", "NETWORK ID"),
            ("Name", "NAME"),
            ("Driver", "DRIVER"),
            ("Scope", "SCOPE"),
            ("IPv4", "IPV4"),
            ("IPv6", "IPV6"),
            ("Internal", "INTERNAL"),
            ("Labels", "LABELS"),
            ("CreatedAt", "CREATED AT"),
        ],
        table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}".to_owned(),
        raw: "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"
            .to_owned(),
        quiet: "ID",
        raw_quiet: "network_id",
        tried_first: false,
    }
}

fn row(network: &Summary, truncate: bool) -> Row {
    let mut row = Row::default();
    let id = match truncate {
        true => names::short_id(&network.id),
        false => &network.id,
    };
    row.set("ID", id);
    row.set("Name", network.name.as_str());
    row.set("Driver", network.driver.as_str());
    row.set("Scope", network.scope.as_str());
    row.set("IPv4", network.enable_ipv4.to_string());
    row.set("IPv6", network.enable_ipv6.to_string());
    row.set("Internal", network.internal.to_string());
    row.set("CreatedAt", crate::output::human::go_time(&network.created));
    row.set_labels(network.labels.iter().flatten());
    row
}

/// `docker network connect`.
pub(crate) fn connect<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut options = BTreeMap::new();
        for text in matches.list("driver-opt") {
            let pair = text.split_once('=').map(|(key, value)| (key.trim(), value));
            let Some((key, value)) = pair.filter(|(key, _)| !key.is_empty()) else {
                return Err(Error::message(
                    "invalid key/value pair format in driver options",
                ));
            };
            options.insert(key.to_owned(), value.trim().to_owned());
        }
        let body = json!({
            "Container": matches.operands[1],
            "EndpointConfig": {
                "IPAMConfig": {
                    "IPv4Address": matches.text("ip"),
                    "IPv6Address": matches.text("ip6"),
                    "LinkLocalIPs": matches.list("link-local-ip"),
                },
                "Links": matches.list("link"),
                "Aliases": matches.list("alias"),
                "DriverOpts": options,
                "GwPriority": matches.int("gw-priority"),
            },
        });
        super::container_path(&matches.operands[1], "")?;
        let call = Call::post(path(&matches.operands[0], "/connect")?).json(&body)?;
        session.client.done(&call).await?;
        Ok(0)
    })
}

/// `docker network disconnect`.
pub(crate) fn disconnect<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let container = &matches.operands[1];
        super::container_path(container, "")?;
        let body = json!({"Container": container, "Force": matches.bool("force")});
        let call = Call::post(path(&matches.operands[0], "/disconnect")?).json(&body)?;
        session.client.done(&call).await?;
        Ok(0)
    })
}

/// `docker network rm`.
pub(crate) fn remove<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut failures = Vec::new();
        for name in &matches.operands {
            let found: Result<Summary, Error> =
                session.client.json(&Call::get(path(name, "")?)).await;
            if found.is_ok_and(|network| network.ingress) && !prune::asked(session, INGRESS) {
                continue;
            }
            match session.client.done(&Call::delete(path(name, "")?)).await {
                Ok(()) => session.printer.line(name),
                Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => {
                    return Err(error);
                }
                Err(error) if matches.bool("force") && error.kind() == ErrorKind::NotFound => {}
                Err(error) => failures.push(error.to_string()),
            }
        }
        match failures.is_empty() {
            true => Ok(0),
            false => {
                failures.push("exit status 1".to_owned());
                Err(Error::Several(failures))
            }
        }
    })
}

const INGRESS: &str = "WARNING! This is the swarm's routing mesh: without it, services that are created anew cannot be reached from outside.";
