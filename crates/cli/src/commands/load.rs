//! `load`: images from an archive.

use std::fs::File;
use std::io::IsTerminal;

use futures_util::future::LocalBoxFuture;

use super::{Outcome, import, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::transport::{Call, channel_body};

/// `docker load`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let quiet = matches.bool("quiet") || !session.printer.is_terminal();
        let call = Call::post("/images/load")
            .query_some("platform", &typed::platform(matches.text("platform"))?)
            .query("quiet", if quiet { "1" } else { "0" })
            .header("Content-Type", "application/x-tar");
        let body = match matches.text("input") {
            "" if std::io::stdin().is_terminal() => {
                return Err(Error::message(
                    "requested load from stdin, but stdin is empty",
                ));
            }
            "" => channel_body(std::io::stdin()),
            path => {
                channel_body(File::open(path).map_err(|error| import::open_error(path, &error))?)
            }
        };
        let mut answer = session.client.send_stream(&call, body).await?;
        if !answer
            .header("Content-Type")
            .starts_with("application/json")
        {
            while let Some(piece) = answer.next().await? {
                session.printer.out_bytes(&piece);
            }
            return Ok(0);
        }
        let mut progress = Progress::new(session.printer, false, false);
        while let Some(piece) = answer.next().await? {
            progress.feed(&piece)?;
        }
        Ok(0)
    })
}
