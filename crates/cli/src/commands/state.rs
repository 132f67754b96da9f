//! `stop`, `kill`, `restart`, `pause`, `unpause`, `wait`: one request per container.

use futures_util::future::{LocalBoxFuture, join_all};
use gantry_api::WaitResponse;

use super::{Outcome, container_path, each};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// Sends `action` for every container at once.
async fn at_once(session: &Session, matches: &Matches, action: &str) -> Outcome {
    let calls = matches
        .operands
        .iter()
        .map(|name| container_path(name, action).map(Call::post))
        .collect::<Result<Vec<_>, _>>()?;
    answer_in_order(session, matches, &calls).await
}

/// The same, with the signal and the time that stopping may take.
async fn stopping_at_once(session: &Session, matches: &Matches, action: &str) -> Outcome {
    let timeout = match matches.changed("time") {
        true => matches.given_int("time"),
        false => matches.given_int("timeout"),
    };
    let timeout = timeout
        .map(|seconds| seconds.to_string())
        .unwrap_or_default();
    let mut calls = Vec::new();
    for name in &matches.operands {
        let call = Call::post(container_path(name, action)?)
            .query_some("signal", matches.text("signal"))
            .query_some("t", &timeout);
        calls.push(call);
    }
    answer_in_order(session, matches, &calls).await
}

/// Sends all calls at once, and prints in the order of the command line.
async fn answer_in_order(session: &Session, matches: &Matches, calls: &[Call]) -> Outcome {
    let answers = join_all(calls.iter().map(|call| session.client.done(call))).await;
    let mut failures = Vec::new();
    for (name, answer) in matches.operands.iter().zip(answers) {
        match answer {
            Ok(()) => session.printer.line(name),
            Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => return Err(error),
            Err(error) => failures.push(error.to_string()),
        }
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(Error::Several(failures)),
    }
}

/// `docker stop`.
pub(crate) fn stop<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(stopping_at_once(session, matches, "/stop"))
}

/// `docker restart`.
pub(crate) fn restart<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(stopping_at_once(session, matches, "/restart"))
}

/// `docker pause`.
pub(crate) fn pause<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(at_once(session, matches, "/pause"))
}

/// `docker unpause`.
pub(crate) fn unpause<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(at_once(session, matches, "/unpause"))
}

/// `docker kill`.
pub(crate) fn kill<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(each(session, &matches.operands, async |name| {
        let call =
            Call::post(container_path(name, "/kill")?).query_some("signal", matches.text("signal"));
        session.client.done(&call).await?;
        Ok(name.to_owned())
    }))
}

/// `docker wait`.
pub(crate) fn wait<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(each(session, &matches.operands, async |name| {
        let call = Call::post(container_path(name, "/wait")?);
        let response: WaitResponse = session.client.json(&call).await?;
        Ok(response.status_code.to_string())
    }))
}
