//! `volume clone`, `snapshot`, `export`, `import` and `rename`, which Docker does not have.

use std::fs::File;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::{Outcome, export, import::open_error};
use crate::args::Matches;
use crate::container_options::pairs;
use crate::error::Error;
use crate::session::Session;
use crate::transport::{Call, channel_body, encode};

fn path(name: &str, verb: &str) -> String {
    format!("/gantry/volumes/{}/{verb}", encode(name))
}

fn operand(matches: &Matches, index: usize) -> &str {
    matches.operands.get(index).map_or("", String::as_str)
}

fn paused(call: Call, matches: &Matches) -> Call {
    match matches.bool("pause") {
        true => call,
        false => call.query("pause", "0"),
    }
}

/// `gantry volume clone`.
pub(crate) fn clone<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(copy(session, matches, "clone"))
}

/// `gantry volume snapshot`.
pub(crate) fn snapshot<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(copy(session, matches, "snapshot"))
}

async fn copy(session: &Session, matches: &Matches, verb: &str) -> Outcome {
    let body = json!({
        "Name": operand(matches, 1),
        "Labels": pairs(&matches.list("label")),
    });
    let call = paused(Call::post(path(operand(matches, 0), verb)), matches).json(&body)?;
    let made: Value = session.client.json(&call).await?;
    session.printer.line(made["Name"].as_str().unwrap_or(""));
    Ok(0)
}

/// `gantry volume export`.
pub(crate) fn save<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let call = paused(Call::get(path(operand(matches, 0), "export")), matches);
        export::write(session, matches, &call, "export volume").await
    })
}

/// `gantry volume import`.
pub(crate) fn load<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut call = Call::post(path(operand(matches, 0), "import"));
        for label in matches.list("label") {
            call = call.query("label", &label);
        }
        let body = match operand(matches, 1) {
            "" | "-" => channel_body(std::io::stdin()),
            file => channel_body(File::open(file).map_err(|error| open_error(file, &error))?),
        };
        let mut answer = session.client.send_stream(&call, body).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = answer.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let made: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::message(format!("reading the answer: {error}")))?;
        session.printer.line(made["Name"].as_str().unwrap_or(""));
        Ok(0)
    })
}

/// `gantry volume rename`.
pub(crate) fn rename<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let call = Call::post(path(operand(matches, 0), "rename"));
        session
            .client
            .done(&call.query("name", operand(matches, 1)))
            .await?;
        Ok(0)
    })
}
