//! `history`: how an image was made.

use futures_util::future::LocalBoxFuture;
use gantry_api::HistoryItem;

use super::{Outcome, names, typed};
use crate::args::Matches;
use crate::output::formatter::{Row, Shape, render};
use crate::output::human;
use crate::session::Session;
use crate::transport::{Call, encode};

/// `docker history`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let path = format!("/images/{}/history", encode(&matches.operands[0]));
        let call =
            Call::get(path).query_some("platform", &typed::platform(matches.text("platform"))?);
        let items: Vec<HistoryItem> = session.client.json(&call).await?;
        let human = matches.bool("human");
        let truncate = !matches.bool("no-trunc");
        let rows: Vec<Row> = items
            .iter()
            .map(|item| row(item, human, truncate))
            .collect();
        let shape = shape(human);
        let shown = render(&shape, &rows, matches.text("format"), matches.bool("quiet"))?;
        session.printer.out(&shown);
        Ok(0)
    })
}

fn shape(human: bool) -> Shape {
    let created = if human { "CreatedSince" } else { "CreatedAt" };
    Shape {
        type_name: "image.historyContext",
        headers: &[
            ("ID", "IMAGE"),
            ("CreatedSince", "CREATED"),
            ("CreatedAt", "CREATED AT"),
            ("CreatedBy", "CREATED BY"),
            ("Size", "SIZE"),
            ("Comment", "COMMENT"),
        ],
        table: format!(
            "{{{{.ID}}}}\t{{{{.{created}}}}}\t{{{{.CreatedBy}}}}\t{{{{.Size}}}}\t{{{{.Comment}}}}"
        ),
        raw: "{{.ID}}".to_owned(),
        quiet: "ID",
        raw_quiet: "image_id",
        tried_first: false,
    }
}

fn row(item: &HistoryItem, human: bool, truncate: bool) -> Row {
    let mut row = Row::default();
    let by = item.created_by.replace('\t', " ");
    row.set(
        "ID",
        if truncate {
            names::short_id(&item.id)
        } else {
            &item.id
        },
    );
    row.set("CreatedAt", human::rfc3339(item.created));
    row.set(
        "CreatedSince",
        match item.created {
            ..=0 => "N/A".to_owned(),
            created => human::ago(created),
        },
    );
    row.set(
        "CreatedBy",
        if truncate {
            names::ellipsis(&by, 45)
        } else {
            by
        },
    );
    row.set(
        "Size",
        match human {
            true => human::size(item.size, 3),
            false => item.size.to_string(),
        },
    );
    row.set("Comment", item.comment.as_str());
    row
}
