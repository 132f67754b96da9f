//! `logs`: what a container has printed.

use futures_util::future::LocalBoxFuture;
use gantry_api::ContainerInspect;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::session::Session;
use crate::session::attach::Output;
use crate::transport::Call;

/// `docker logs`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        let path = container_path(name, "/json")?;
        let container: ContainerInspect = session.client.json(&Call::get(path)).await?;
        let since = super::typed::moment("since", matches.text("since"))?;
        let until = super::typed::moment("until", matches.text("until"))?;
        let call = Call::get(container_path(&container.id, "/logs")?)
            .query_if("details", matches.bool("details"))
            .query_if("follow", matches.bool("follow"))
            .query_some("since", &since)
            .query("stderr", "1")
            .query("stdout", "1")
            .query_some("tail", matches.text("tail"))
            .query_if("timestamps", matches.bool("timestamps"))
            .query_some("until", &until);
        let mut answer = session.client.send(&call).await?;
        let mut output = Output::new(session.printer, !container.config.tty);
        output.copy(&mut answer).await?;
        Ok(0)
    })
}
