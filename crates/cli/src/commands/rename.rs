//! `rename`: another name for a container.

use futures_util::future::LocalBoxFuture;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// `docker rename`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let [old, new] = [&matches.operands[0], &matches.operands[1]].map(|name| name.trim());
        if old.is_empty() || new.is_empty() {
            return Err(Error::message(
                "Error: Neither old nor new names may be empty",
            ));
        }
        let call = Call::post(container_path(old, "/rename")?).query("name", new);
        match session.client.done(&call).await {
            Ok(()) => Ok(0),
            Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => Err(error),
            Err(error) => Err(Error::Several(vec![
                error.to_string(),
                format!("Error: failed to rename container named {old}"),
            ])),
        }
    })
}
