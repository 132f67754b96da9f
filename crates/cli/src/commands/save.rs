//! `save`: images to a tar archive.

use futures_util::future::LocalBoxFuture;

use super::{Outcome, export, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// `docker save`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        // Docker's daemon has no such path, and so does not answer with another layout.
        let path = match matches.text("format") {
            "" | "docker" => "/images/get",
            "docker-v1" => "/images/get/docker-v1",
            other => {
                return Err(Error::message(format!(
                    "invalid archive format {other:?}: it is docker or docker-v1"
                )));
            }
        };
        let mut call =
            Call::get(path).query_some("platform", &typed::platform(matches.text("platform"))?);
        for image in &matches.operands {
            call = call.query("names", image);
        }
        export::write(session, matches, &call, "save image").await
    })
}
