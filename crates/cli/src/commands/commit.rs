//! `commit`: an image of what a container has changed.

use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

use super::{Outcome, names};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Committed {
    id: String,
}

/// `docker commit`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let container = &matches.operands[0];
        super::container_path(container, "")?;
        let mut call = Call::post("/commit").query("container", container);
        if let Some(name) = matches.operands.get(1).filter(|name| !name.is_empty()) {
            let reference = names::normalized(name).map_err(Error::Message)?;
            if reference.digest().is_some() {
                return Err(Error::message(
                    "refusing to create a tag with a digest reference",
                ));
            }
            call = call
                .query("repo", &reference.familiar_name())
                .query("tag", reference.tag().unwrap_or("latest"));
        }
        call = call
            .query_some("comment", matches.text("message"))
            .query_some("author", matches.text("author"));
        for change in matches.list("change") {
            call = call.query("changes", &change);
        }
        if !matches.bool("pause") {
            call = call.query("pause", "0");
        }
        let committed: Committed = session
            .client
            .json(&call.json(&serde_json::Value::Null)?)
            .await?;
        session.printer.line(&committed.id);
        Ok(0)
    })
}
