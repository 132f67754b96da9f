//! `diff`: what a container has changed in its filesystem.

use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    path: String,
    kind: u8,
}

/// `docker diff`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        if name.is_empty() {
            return Err(Error::message("Container name cannot be empty"));
        }
        let call = Call::get(container_path(name, "/changes")?);
        let changes: Option<Vec<Change>> = session.client.json(&call).await?;
        let mut out = String::new();
        for change in changes.unwrap_or_default() {
            let kind = match change.kind {
                0 => "C",
                1 => "A",
                2 => "D",
                _ => "",
            };
            out.push_str(&format!("{kind} {}\n", change.path));
        }
        session.printer.out(&out);
        Ok(0)
    })
}
