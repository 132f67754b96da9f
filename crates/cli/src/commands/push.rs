//! `push`: an image to a registry.

use futures_util::future::LocalBoxFuture;

use super::{Outcome, names, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::transport::{Call, encode};

/// `docker push`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let quiet = matches.bool("quiet");
        let reference = names::normalized(&matches.operands[0]).map_err(Error::Message)?;
        let named = reference.tag().is_some() || reference.digest().is_some();
        let tag = match (matches.bool("all-tags"), named) {
            (true, true) => {
                return Err(Error::message("tag can't be used with --all-tags/-a"));
            }
            (true, false) => String::new(),
            (false, true) => reference.tag().unwrap_or_default().to_owned(),
            (false, false) => {
                if !quiet {
                    session.printer.line("Using default tag: latest");
                }
                "latest".to_owned()
            }
        };
        let call = Call::post(format!("/images/{}/push", encode(&reference.name())))
            .query_some("tag", &tag)
            .query_some("platform", &typed::platform(matches.text("platform"))?)
            .header("X-Registry-Auth", "e30=");
        let mut answer = session.client.send(&call).await?;
        let mut progress = Progress::new(session.printer, false, quiet);
        while let Some(piece) = answer.next().await? {
            progress.feed(&piece)?;
        }
        if quiet {
            session.printer.line(&reference.or_latest().to_string());
        }
        Ok(0)
    })
}
