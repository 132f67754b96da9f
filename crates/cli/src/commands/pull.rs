//! `pull`, and the pull that `run` and `create` do for a missing image.

use futures_util::future::LocalBoxFuture;

use super::{Outcome, names};
use crate::args::Matches;
use crate::error::Error;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::transport::Call;

/// Pulls `image`, drawing progress on standard output or standard error.
pub(crate) async fn pull(
    session: &Session,
    image: &str,
    platform: &str,
    to_stderr: bool,
    quiet: bool,
) -> Result<(), Error> {
    let reference = names::normalized(image)
        .map_err(Error::Message)?
        .or_latest();
    let tag = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    };
    let call = Call::post("/images/create")
        .query("fromImage", &reference.name())
        .query("tag", &tag)
        .query_some("platform", platform)
        .header("X-Registry-Auth", "e30=");
    let mut answer = session.client.send(&call).await?;
    let mut progress = Progress::new(session.printer, to_stderr, quiet);
    while let Some(piece) = answer.next().await? {
        progress.feed(&piece)?;
    }
    session.client.collect(answer).await.map(drop)
}

/// `docker pull`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let image = &matches.operands[0];
        if matches.bool("all-tags") {
            return Err(Error::Unsupported(
                "pull --all-tags is not supported yet".to_owned(),
            ));
        }
        let reference = names::normalized(image).map_err(Error::Message)?;
        let quiet = matches.bool("quiet");
        if reference.tag().is_none() && reference.digest().is_none() && !quiet {
            session.printer.line("Using default tag: latest");
        }
        pull(session, image, matches.text("platform"), false, quiet).await?;
        let full = reference.or_latest();
        let shown = match (full.tag(), full.digest()) {
            (_, Some(digest)) => format!("{}@{digest}", full.name()),
            (tag, None) => format!("{}:{}", full.name(), tag.unwrap_or("latest")),
        };
        session.printer.line(&shown);
        Ok(0)
    })
}
