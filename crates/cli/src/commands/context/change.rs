//! Making, changing, choosing and removing contexts.

use futures_util::future::LocalBoxFuture;
use serde_json::json;

use super::{get, options, warn_of_host};
use crate::args::Matches;
use crate::commands::Outcome;
use crate::error::Error;
use crate::session::Session;
use crate::settings::{DEFAULT_CONTEXT, DOCKER_ENDPOINT, Files, Meta, check_context_name};

/// Refuses a name that is not free or cannot be one.
pub(super) fn check_new(session: &Session, name: &str) -> Result<(), Error> {
    check_context_name(name)?;
    match session.settings.contexts.find(name)? {
        Some(_) => Err(Error::message(format!("context {name:?} already exists"))),
        None => Ok(()),
    }
}

fn describe(meta: &mut Meta, matches: &Matches) {
    let description = matches.text("description");
    if !description.is_empty() {
        meta.metadata
            .insert("Description".to_owned(), json!(description));
    }
}

/// Says what was done, as every change of a context does.
pub(super) fn done(session: &Session, name: &str, what: &str) -> Outcome {
    session.printer.line(name);
    session
        .printer
        .error_line(&format!("Successfully {what} context {name:?}"));
    Ok(0)
}

/// `docker context create`.
pub(crate) fn create<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        let store = &session.settings.contexts;
        check_new(session, name)?;
        let (from, docker) = (matches.text("from"), matches.list("docker"));
        if !from.is_empty() && !docker.is_empty() {
            return Err(Error::message(
                "cannot use --docker flag when --from is set",
            ));
        }
        let (mut meta, tls) = if docker.is_empty() {
            let source = match from {
                "" => session.settings.context.as_str(),
                from => from,
            };
            (get(session, source)?, store.tls(source)?)
        } else {
            let (fields, files) = options::endpoint(session, &docker)?;
            let mut meta = Meta::default();
            meta.endpoints.insert(DOCKER_ENDPOINT.to_owned(), fields);
            (meta, [(DOCKER_ENDPOINT.to_owned(), files)].into())
        };
        meta.name.clone_from(name);
        describe(&mut meta, matches);
        store.put(&meta)?;
        for (endpoint, files) in &tls {
            store.set_tls(name, endpoint, files)?;
        }
        done(session, name, "created")
    })
}

/// `docker context update`.
pub(crate) fn update<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        let store = &session.settings.contexts;
        check_context_name(name)?;
        let mut meta = store.get(name)?;
        describe(&mut meta, matches);
        let docker = matches.list("docker");
        let mut tls: Option<Files> = None;
        if !docker.is_empty() {
            let (fields, files) = options::endpoint(session, &docker)?;
            meta.endpoints.insert(DOCKER_ENDPOINT.to_owned(), fields);
            tls = Some(files);
        }
        store.put(&meta)?;
        if let Some(files) = tls {
            store.set_tls(name, DOCKER_ENDPOINT, &files)?;
        }
        done(session, name, "updated")
    })
}

/// `docker context use`.
pub(crate) fn select<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        let chosen = match name.as_str() {
            DEFAULT_CONTEXT => "",
            name => {
                check_context_name(name)?;
                session.settings.contexts.get(name)?;
                name
            }
        };
        session.settings.save_current_context(chosen)?;
        session.printer.line(name);
        session
            .printer
            .error_line(&format!("Current context is now {name:?}"));
        if !chosen.is_empty() {
            warn_of_host(session, &format!("{name:?}"));
        }
        Ok(0)
    })
}

/// `docker context rm`.
pub(crate) fn remove<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut failures = Vec::new();
        for name in &matches.operands {
            match remove_one(session, name, matches.bool("force")) {
                Ok(()) => session.printer.line(name),
                Err(error) => failures.push(error.to_string()),
            }
        }
        match failures.is_empty() {
            true => Ok(0),
            false => Err(Error::Several(failures)),
        }
    })
}

fn remove_one(session: &Session, name: &str, force: bool) -> Result<(), Error> {
    let store = &session.settings.contexts;
    if name == DEFAULT_CONTEXT {
        return Err(Error::message("context \"default\" cannot be removed"));
    }
    if name == session.settings.context {
        if !force {
            return Err(Error::message(format!(
                "context {name:?} is in use, set -f flag to force remove"
            )));
        }
        session.settings.save_current_context("")?;
    }
    if !force && store.find(name)?.is_none() {
        return Err(Error::message(format!("context {name:?} does not exist")));
    }
    store.remove(name)
}
