//! `build`: an image of a Dockerfile and a folder.

mod buildkit;
mod check;
mod context;
mod events;
mod fields;
mod near;
mod output;
mod request;
mod send;
mod show;
mod verify;

use futures_util::future::LocalBoxFuture;
use gantry_types::Reference;

use super::{Outcome, push};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use context::Source;
use output::Output;
use send::Built;
use show::Show;

/// What a build by BuildKit's own API is asked for.
struct Wishes<'w> {
    matches: &'w Matches,
    source: &'w Source,
    outputs: &'w [Output],
    secrets: request::Secrets,
    /// The flag that nothing else can do.
    why: &'static str,
}

/// `docker build`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let ended = build(session, matches).await;
        // Docker tells all that goes wrong so.
        ended.map_err(|error| match error {
            Error::Unreachable { .. } | Error::Refused { .. } => error,
            Error::Daemon { message, .. } => failed(&message),
            error => failed(&error.to_string()),
        })
    })
}

fn failed(why: &str) -> Error {
    Error::Status {
        message: format!("ERROR: failed to build: {why}"),
        code: 1,
    }
}

async fn build(session: &Session, matches: &Matches) -> Outcome {
    let mut source = context::of(&matches.operands[0], matches.text("file"))?;
    source.compress = matches.bool("compress");
    request::check(matches)?;
    if let Some(what) = check::wished(matches) {
        return check::run(session, matches, &source, what);
    }
    let push = pushed(matches)?;
    let secrets = request::read_secrets(&matches.list("secret"))?;
    let quiet = matches.bool("quiet");
    let wish = match quiet {
        true => "quiet",
        false => matches.text("progress"),
    };
    let outputs = output::outputs(matches)?;
    if let Some(why) = buildkit::wished(matches, &outputs, &secrets) {
        let wishes = Wishes {
            matches,
            source: &source,
            outputs: &outputs,
            secrets,
            why,
        };
        let built = buildkit::build(session, &wishes, Show::new(wish)).await?;
        return finish(session, matches, &built);
    }
    let call = request::call(session, matches, &source, &secrets)?
        .query("outputs", &output::parameter(&outputs));
    let built = send::send(session, &call, &source, Show::new(wish), &outputs).await?;
    if matches.bool("verify") {
        let again = request::again(session, matches, &source, &secrets)?;
        let second = send::send(session, &again, &source, Show::new("quiet"), &[]).await?;
        verify::compare(session, built.id(), second.id()).await?;
    }
    for reference in push {
        push::send(session, &reference, "", quiet).await?;
    }
    finish(session, matches, &built)
}

/// Says what a build has become, where that is wished.
fn finish(session: &Session, matches: &Matches, built: &Built) -> Outcome {
    write_file("image ID file", matches.text("iidfile"), built.id())?;
    let text = format!("{:#}\n", serde_json::json!(built.0));
    write_file("metadata file", matches.text("metadata-file"), &text)?;
    if matches.bool("quiet") {
        session.printer.line(built.id());
    }
    Ok(0)
}

/// What is pushed when it is built.
fn pushed(matches: &Matches) -> Result<Vec<Reference>, Error> {
    if !matches.bool("push") {
        return Ok(Vec::new());
    }
    let tags = matches.list("tag");
    if tags.is_empty() {
        return Err(Error::message("tag is needed when pushing to registry"));
    }
    tags.iter().map(|tag| request::tag(tag)).collect()
}

fn write_file(what: &str, path: &str, text: &str) -> Result<(), Error> {
    if path.is_empty() {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| {
        let why = super::import::open_error(path, &error);
        Error::message(format!("writing {what}: {why}"))
    })
}
