//! `exec`: another command in a running container.

use futures_util::future::{Either, LocalBoxFuture, select};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, container_path, run};
use crate::args::Matches;
use crate::container_options::environment;
use crate::error::Error;
use crate::session::Session;
use crate::session::attach::{self, Streamed, Streams};
use crate::session::signals::follow_size;
use crate::session::terminal::{self, RawMode};
use crate::transport::{Call, encode};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    running: bool,
    exit_code: Option<i32>,
}

/// `docker exec`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let body = body(session, matches)?;
        let (tty, detach) = (matches.bool("tty"), matches.bool("detach"));
        let stdin = !detach && matches.bool("interactive");
        let container = &matches.operands[0];
        if !detach && stdin && tty {
            refuse_without_terminal(session, container).await?;
        }
        let create = Call::post(container_path(container, "/exec")?).json(&body)?;
        let exec: Created = session.client.json(&create).await?;
        let path = format!("/exec/{}", encode(&exec.id));
        let start = json!({
            "Detach": detach, "Tty": tty, "ConsoleSize": body["ConsoleSize"],
        });
        let start = Call::post(format!("{path}/start")).json(&start)?;
        if detach {
            session.client.done(&start).await?;
            return Ok(0);
        }
        let keys = run::typed_keys(session, matches, tty)?;
        let hijacked = session.client.hijack(&start).await?;
        let raw = (tty && stdin).then(RawMode::enter).flatten();
        let streams = Streams {
            stdin,
            output: true,
            tty,
            keys,
        };
        let resize = format!("{path}/resize");
        let sizes = async {
            match tty {
                true => follow_size(session, &resize).await,
                false => std::future::pending().await,
            }
        };
        let streaming = attach::run(session.printer, hijacked, streams);
        futures_util::pin_mut!(streaming, sizes);
        let streamed = match select(streaming, sizes).await {
            Either::Left((streamed, _)) => streamed,
            Either::Right(((), streaming)) => streaming.await,
        };
        drop(raw);
        match streamed? {
            Streamed::Ended => exit_code(session, &path).await,
            Streamed::Detached => Err(Error::message("read escape sequence")),
        }
    })
}

/// A container that is not there is told before a terminal that is not there.
async fn refuse_without_terminal(session: &Session, container: &str) -> Result<(), Error> {
    let Err(error) = run::check_tty(true, true) else {
        return Ok(());
    };
    let call = Call::get(container_path(container, "/json")?);
    session.client.done(&call).await?;
    Err(error)
}

fn body(session: &Session, matches: &Matches) -> Result<Value, Error> {
    let (tty, detach) = (matches.bool("tty"), matches.bool("detach"));
    let environment =
        environment(&matches.list("env-file"), &matches.list("env")).map_err(Error::Message)?;
    let (rows, columns) = terminal::size();
    Ok(json!({
        "User": matches.text("user"),
        "Privileged": matches.bool("privileged"),
        "Tty": tty,
        "ConsoleSize": tty.then_some([rows, columns]),
        "AttachStdin": !detach && matches.bool("interactive"),
        "AttachStdout": !detach,
        "AttachStderr": !detach,
        "DetachKeys": run::detach_keys(session, matches),
        "Env": Some(environment).filter(|list| !list.is_empty()),
        "WorkingDir": matches.text("workdir"),
        "Cmd": &matches.operands[1..],
    }))
}

/// The code of a command whose streams have ended; one that still runs was
/// detached from.
async fn exit_code(session: &Session, path: &str) -> Outcome {
    let found: Inspected = session
        .client
        .json(&Call::get(format!("{path}/json")))
        .await?;
    match found {
        Inspected { running: true, .. } => Ok(0),
        Inspected { exit_code, .. } => Ok(exit_code.unwrap_or(0)),
    }
}
