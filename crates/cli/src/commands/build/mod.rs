//! `build`: an image of a Dockerfile and a folder.

mod check;
mod context;
mod events;
mod near;
mod output;
mod request;
mod send;
mod show;
mod verify;

use futures_util::future::LocalBoxFuture;
use gantry_types::Reference;

use super::{Outcome, names, push};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use show::Show;

/// `docker build`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let source = context::of(&matches.operands[0], matches.text("file"))?;
        request::check(matches)?;
        if let Some(what) = check::wished(matches) {
            return check::run(session, matches, &source, what);
        }
        let push = pushed(matches)?;
        let quiet = matches.bool("quiet");
        let wish = match quiet {
            true => "quiet",
            false => matches.text("progress"),
        };
        let outputs = output::outputs(matches)?;
        let call = request::call(session, matches, &source)?
            .query("outputs", &output::parameter(&outputs));
        let built = send::send(session, &call, &source, Show::new(wish), &outputs).await?;
        if matches.bool("verify") {
            let again = request::again(session, matches, &source)?;
            let second = send::send(session, &again, &source, Show::new("quiet"), &[]).await?;
            verify::compare(session, built.id(), second.id()).await?;
        }
        write_file(matches.text("iidfile"), built.id())?;
        let metadata = serde_json::json!(built.0);
        write_file(matches.text("metadata-file"), &format!("{metadata:#}\n"))?;
        for reference in push {
            push::send(session, &reference, "", quiet).await?;
        }
        if quiet {
            session.printer.line(built.id());
        }
        Ok(0)
    })
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
    let names = tags.iter().map(|tag| names::normalized(tag));
    let names = names.collect::<Result<Vec<_>, _>>();
    let names = names.map_err(Error::Message)?.into_iter();
    Ok(names.map(Reference::or_latest).collect())
}

fn write_file(path: &str, text: &str) -> Result<(), Error> {
    if path.is_empty() {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| Error::message(format!("write {path}: {error}")))
}
