//! `save`: images to a tar archive.

use futures_util::future::LocalBoxFuture;

use super::{Outcome, export, typed};
use crate::args::Matches;
use crate::session::Session;
use crate::transport::Call;

/// `docker save`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut call = Call::get("/images/get")
            .query_some("platform", &typed::platform(matches.text("platform"))?);
        for image in &matches.operands {
            call = call.query("names", image);
        }
        export::write(session, matches, &call, "save image").await
    })
}
