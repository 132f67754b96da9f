//! `tag`: another name for an image.

use futures_util::future::LocalBoxFuture;

use super::{Outcome, names};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::{Call, encode};

/// `docker tag`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let [source, target] = &matches.operands[..] else {
            return Err(Error::message("tag takes two names"));
        };
        let reference = names::normalized(target).map_err(|reason| {
            Error::message(format!(
                "Error parsing reference: {target:?} is not a valid repository/tag: {reason}"
            ))
        })?;
        if reference.digest().is_some() {
            return Err(Error::message(
                "refusing to create a tag with a digest reference",
            ));
        }
        let call = Call::post(format!("/images/{}/tag", encode(source)))
            .query("repo", &reference.name())
            .query("tag", reference.tag().unwrap_or("latest"));
        session.client.done(&call).await?;
        Ok(0)
    })
}
