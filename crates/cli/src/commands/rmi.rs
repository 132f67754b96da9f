//! `rmi`: names and images go.

use futures_util::future::LocalBoxFuture;
use gantry_api::ImageDeleted;
use gantry_types::ErrorKind;

use super::{Outcome, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::{Call, encode};

/// `docker rmi`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let force = matches.bool("force");
        let mut failures = Vec::new();
        let mut fatal = false;
        for name in &matches.operands {
            let mut call = Call::delete(format!("/images/{}", encode(name)))
                .query_if("force", force)
                .query_if("noprune", matches.bool("no-prune"));
            for platform in matches.list("platform") {
                call = call.query("platforms", &typed::platform(&platform)?);
            }
            let deleted: Result<Vec<ImageDeleted>, Error> = session.client.json(&call).await;
            match deleted {
                Ok(items) => session.printer.out(&shown(&items)),
                Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    fatal = fatal || error.kind() != ErrorKind::NotFound;
                    failures.push(error.to_string());
                }
            }
        }
        if failures.is_empty() {
            return Ok(0);
        }
        if force && !fatal {
            session.printer.error_line(&failures.join("\n"));
            return Ok(0);
        }
        Err(Error::Several(failures))
    })
}

/// One line per name and per layer.
pub(super) fn shown(items: &[ImageDeleted]) -> String {
    let mut out = String::new();
    for item in items {
        if let Some(id) = &item.deleted {
            out.push_str(&format!("Deleted: {id}\n"));
        } else if let Some(name) = &item.untagged {
            out.push_str(&format!("Untagged: {name}\n"));
        }
    }
    out
}
