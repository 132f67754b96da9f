//! `rm`: containers go.

use futures_util::future::{LocalBoxFuture, join_all};
use gantry_types::ErrorKind;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// `docker rm`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let force = matches.bool("force");
        let mut calls = Vec::new();
        for name in &matches.operands {
            let bare = name.trim_matches('/');
            if bare.is_empty() {
                return Err(Error::message("container name cannot be empty"));
            }
            let call = Call::delete(container_path(bare, "")?)
                .query_if("force", force)
                .query_if("link", matches.bool("link"))
                .query_if("v", matches.bool("volumes"));
            calls.push(call);
        }
        let answers = join_all(calls.iter().map(|call| session.client.done(call))).await;
        let mut failures = Vec::new();
        for (name, answer) in matches.operands.iter().zip(answers) {
            match answer {
                Ok(()) => session.printer.line(name),
                Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => {
                    return Err(error);
                }
                Err(error) if force && error.kind() == ErrorKind::NotFound => {
                    session.printer.error_line(&error.to_string());
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        match failures.is_empty() {
            true => Ok(0),
            false => Err(Error::Several(failures)),
        }
    })
}
