//! `search`: images in a registry, as the daemon finds them.

use futures_util::future::LocalBoxFuture;
use gantry_api::AUTH_HEADER;
use serde::Deserialize;

use super::{Outcome, filters, names};
use crate::args::Matches;
use crate::credentials::INDEX;
use crate::output::formatter::{Row, Shape, render};
use crate::session::Session;
use crate::transport::Call;

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    star_count: i64,
    #[serde(default)]
    is_official: bool,
}

/// `docker search`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let limit = match matches.int("limit") {
            ..=0 => String::new(),
            limit => limit.to_string(),
        };
        let server = server(&matches.operands[0]);
        warn_of_automated(session, matches);
        let call = Call::get("/images/search")
            .query("term", &matches.operands[0])
            .query_some("limit", &limit)
            .query_some("filters", &filters::query(matches))
            .header(AUTH_HEADER, session.credentials_of(server).to_header());
        let results: Option<Vec<Found>> = session.client.json(&call).await?;
        let truncate = !matches.bool("no-trunc");
        let results = results.unwrap_or_default();
        let format = matches.text("format");
        let json = format == "json" || format.contains("json .");
        let rows: Vec<Row> = results
            .iter()
            .map(|found| row(found, truncate, json))
            .collect();
        session
            .printer
            .out(&render(&shape(), &rows, format, false)?);
        Ok(0)
    })
}

/// The registry that a term begins with, as its credentials are filed.
fn server(term: &str) -> &str {
    match term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => INDEX,
    }
}

/// Nothing is automated any more, so this filter finds all or nothing.
fn warn_of_automated(session: &Session, matches: &Matches) {
    let asked = filters::parse(matches);
    for value in asked.get("is-automated") {
        session.printer.error_line(&format!(
            "WARNING: the \"is-automated\" filter is deprecated, and searching for \
             \"is-automated={value}\" will not yield any results in future."
        ));
    }
}

fn shape() -> Shape {
    Shape {
        type_name: "registry.searchContext",
        headers: &[
            ("Name", "NAME"),
            ("Description", "DESCRIPTION"),
            ("StarCount", "STARS"),
            ("IsOfficial", "OFFICIAL"),
        ],
        table: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}".to_owned(),
        raw: "raw".to_owned(),
        quiet: "Name",
        raw_quiet: "name",
        tried_first: false,
    }
}

fn row(found: &Found, truncate: bool, json: bool) -> Row {
    let mut row = Row::default();
    let line = found.description.replace(['\n', '\r'], " ");
    row.set("Name", found.name.as_str());
    row.set(
        "Description",
        if truncate {
            names::ellipsis(&line, 45)
        } else {
            line
        },
    );
    row.set("StarCount", found.star_count.to_string());
    row.set(
        "IsOfficial",
        match (found.is_official, json) {
            (official, true) => official.to_string(),
            (true, false) => "[OK]".to_owned(),
            (false, false) => String::new(),
        },
    );
    row
}
