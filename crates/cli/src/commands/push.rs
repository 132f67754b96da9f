//! `push`: an image to a registry.

use futures_util::future::LocalBoxFuture;
use gantry_api::AUTH_HEADER;
use gantry_types::Reference;

use super::{Outcome, names, pull, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::transport::{Call, encode};

/// What Docker says where only a part of an image is sent.
const PLATFORM_NOTE: &str = "
 Info -> Using --platform pushes only the specified platform manifest of a multi-platform image index.
         Other components, like attestations, will not be included.
         To push the complete multi-platform image, remove the --platform flag.
         
";

/// Has the daemon push a tag, or all tags of a repository, and draws how it goes.
pub(crate) async fn send(
    session: &Session,
    reference: &Reference,
    platform: &str,
    quiet: bool,
) -> Result<(), Error> {
    let call = Call::post(format!("/images/{}/push", encode(&reference.name())))
        .query_some("tag", reference.tag().unwrap_or_default())
        .query_some("platform", platform)
        .header(AUTH_HEADER, session.credentials(reference).to_header());
    let mut answer = session.client.send(&call).await?;
    let mut progress = Progress::new(session.printer, false, quiet);
    while let Some(piece) = answer.next().await? {
        progress.feed(&piece)?;
    }
    Ok(())
}

/// `docker push`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let quiet = matches.bool("quiet");
        let reference = names::normalized(&matches.operands[0]).map_err(Error::Message)?;
        pull::refuse_notary(matches)?;
        let named = reference.tag().is_some() || reference.digest().is_some();
        let tag = match (matches.bool("all-tags"), named) {
            (true, true) => {
                return Err(Error::message("tag can't be used with --all-tags/-a"));
            }
            (true, false) => String::new(),
            (false, true) => match reference.tag() {
                Some(tag) if reference.digest().is_none() => tag.to_owned(),
                _ => return Err(Error::message("cannot push a digest reference")),
            },
            (false, false) => {
                if !quiet {
                    session.printer.line("Using default tag: latest");
                }
                "latest".to_owned()
            }
        };
        let platform = typed::platform(matches.text("platform"))?;
        if matches.changed("platform") && !quiet {
            session.printer.out(PLATFORM_NOTE);
        }
        let target = match tag.as_str() {
            "" => reference.clone(),
            tag => reference
                .with_tag(tag)
                .map_err(|error| Error::message(error.to_string()))?,
        };
        send(session, &target, &platform, quiet).await?;
        if quiet {
            session.printer.line(&reference.or_latest().to_string());
        }
        Ok(0)
    })
}
