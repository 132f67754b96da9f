//! `import`: an image of a root filesystem.

use std::fs::File;

use futures_util::future::LocalBoxFuture;

use super::{Outcome, names};
use crate::args::Matches;
use crate::error::Error;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::transport::{Call, channel_body};

/// `docker import`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let source = matches.operands[0].as_str();
        let is_url = ["http://", "https://"]
            .iter()
            .any(|scheme| source.starts_with(scheme));
        let repository = matches.operands.get(1).map_or("", String::as_str);
        if !repository.is_empty() {
            names::normalized(repository).map_err(Error::Message)?;
        }
        let mut call = Call::post("/images/create")
            .query("fromSrc", if is_url { source } else { "-" })
            .query_some("message", matches.text("message"))
            .query_some("platform", matches.text("platform"))
            .query_some("repo", repository);
        for change in matches.list("change") {
            call = call.query("changes", &change);
        }
        let mut answer = if is_url {
            session.client.send(&call).await?
        } else if source == "-" {
            let body = channel_body(std::io::stdin());
            session.client.send_stream(&call, body).await?
        } else {
            let file = File::open(source).map_err(|error| open_error(source, &error))?;
            session
                .client
                .send_stream(&call, channel_body(file))
                .await?
        };
        let mut progress = Progress::new(session.printer, false, false);
        while let Some(piece) = answer.next().await? {
            progress.feed(&piece)?;
        }
        Ok(0)
    })
}

/// A file that cannot be opened, in Go's words.
pub(super) fn open_error(path: &str, error: &std::io::Error) -> Error {
    Error::message(format!("open {path}: {}", crate::error::reason(error)))
}
