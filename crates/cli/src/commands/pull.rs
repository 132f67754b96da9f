//! `pull`, and the pull that `run` and `create` do for a missing image.

use futures_util::future::LocalBoxFuture;
use gantry_api::AUTH_HEADER;

use super::{Outcome, names};
use crate::args::Matches;
use crate::error::Error;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::transport::Call;
use gantry_types::Reference;

/// Pulls `image`, drawing progress on standard output or standard error.
pub(crate) async fn pull(
    session: &Session,
    image: &str,
    platform: &str,
    to_stderr: bool,
    quiet: bool,
) -> Result<(), Error> {
    let named = names::normalized(image).map_err(Error::Message)?;
    let reference = named.or_latest();
    let tag = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    };
    fetch(session, &reference, &tag, platform, to_stderr, quiet).await
}

/// Asks for a tag or digest of a repository, or for all its tags.
async fn fetch(
    session: &Session,
    reference: &Reference,
    tag: &str,
    platform: &str,
    to_stderr: bool,
    quiet: bool,
) -> Result<(), Error> {
    let call = Call::post("/images/create")
        .query("fromImage", &reference.name())
        .query_some("tag", tag)
        .query_some("platform", platform)
        .header(AUTH_HEADER, session.credentials(reference).to_header());
    let mut answer = session.client.send(&call).await?;
    let mut progress = Progress::new(session.printer, to_stderr, quiet);
    while let Some(piece) = answer.next().await? {
        progress.feed(&piece)?;
    }
    session.client.collect(answer).await.map(drop)
}

/// Refuses Docker Content Trust, which asks a notary: who wants signatures
/// checked shall not get an image without.
pub(crate) fn refuse_notary(matches: &Matches) -> Result<(), Error> {
    let wanted = || {
        let value = std::env::var("DOCKER_CONTENT_TRUST").unwrap_or_default();
        crate::args::parse_bool(&value).unwrap_or(!value.is_empty())
    };
    let is_on = match matches.changed("disable-content-trust") {
        true => !matches.bool("disable-content-trust"),
        false => wanted(),
    };
    match is_on {
        true => Err(Error::Unsupported(
            "Docker Content Trust is not supported: the daemon's trust policy says which images \
             must be signed (see 'trust --help')"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

/// `docker pull`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        refuse_notary(matches)?;
        let image = &matches.operands[0];
        let reference = names::normalized(image).map_err(Error::Message)?;
        let quiet = matches.bool("quiet");
        let platform = matches.text("platform");
        let is_named = reference.tag().is_some() || reference.digest().is_some();
        if matches.bool("all-tags") {
            if is_named {
                return Err(Error::message("tag can't be used with --all-tags/-a"));
            }
            fetch(session, &reference, "", platform, false, quiet).await?;
            session.printer.line(&reference.name());
            return Ok(0);
        }
        if !is_named && !quiet {
            session.printer.line("Using default tag: latest");
        }
        pull(session, image, platform, false, quiet).await?;
        let full = reference.or_latest();
        let shown = match (full.tag(), full.digest()) {
            (_, Some(digest)) => format!("{}@{digest}", full.name()),
            (tag, None) => format!("{}:{}", full.name(), tag.unwrap_or("latest")),
        };
        session.printer.line(&shown);
        Ok(0)
    })
}
