//! `run`: create, attach, wait, start; then streams and signals until the end.
//!
//! Attach and wait are opened before the start, each on a connection of its
//! own, so that no output and no exit is missed; the start goes over the
//! connection that created the container.

use std::io::IsTerminal;

use futures_util::future::{Either, LocalBoxFuture};
use gantry_api::{ContainerInspect, WaitResponse};

use super::{Outcome, container_path, create};
use crate::args::Matches;
use crate::container_options::{Built, build};
use crate::error::Error;
use crate::exit_code;
use crate::session::Session;
use crate::session::attach::{self, Streamed, Streams};
use crate::session::detach::DetachKeys;
use crate::session::signals::{SignalQueue, follow_size};
use crate::session::terminal::{self, RawMode};
use crate::transport::{Answer, Call};

/// How long output may come after the exit is known.
const OUTPUT_GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// `docker run`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let host = session.client.host();
        let mut built = build(matches, &session.settings.config, &host)?;
        let (rows, columns) = terminal::size();
        built.body.host_config.console_size = [u32::from(rows), u32::from(columns)];
        if matches.bool("detach") {
            return detached(session, matches, built).await;
        }
        foreground(session, matches, built).await
    })
}

async fn detached(session: &Session, matches: &Matches, mut built: Built) -> Outcome {
    if matches.changed("attach") {
        return Err(Error::Status {
            message: "conflicting options: cannot specify both --attach and --detach".to_owned(),
            code: 1,
        });
    }
    let config = &mut built.body.config;
    config.attach_stdin = false;
    config.attach_stdout = false;
    config.attach_stderr = false;
    config.stdin_once = false;
    let id = create::create(session, matches, &built).await?;
    let started = start(session, &id).await;
    // The container is there, whether it runs or not.
    session.printer.line(&id);
    started.map(|()| 0)
}

async fn start(session: &Session, id: &str) -> Result<(), Error> {
    let path = container_path(id, "/start")?;
    session.client.done(&Call::post(path)).await
}

/// Refuses a terminal for the container when standard input is none.
pub(crate) fn check_tty(attach_stdin: bool, tty: bool) -> Result<(), Error> {
    if attach_stdin && tty && !std::io::stdin().is_terminal() {
        return Err(Error::Status {
            message: "the input device is not a TTY".to_owned(),
            code: 1,
        });
    }
    Ok(())
}

/// The attach request of a session.
pub(crate) fn attach_call(
    id: &str,
    keys: &str,
    [stdin, stdout, stderr]: [bool; 3],
) -> Result<Call, Error> {
    Ok(Call::post(container_path(id, "/attach")?)
        .query_some("detachKeys", keys)
        .query_if("stderr", stderr)
        .query_if("stdin", stdin)
        .query_if("stdout", stdout)
        .query("stream", "1"))
}

/// The keys to look for in what the user types: only a terminal has any.
pub(crate) fn typed_keys(
    session: &Session,
    matches: &Matches,
    tty: bool,
) -> Result<Option<DetachKeys>, Error> {
    let keys = DetachKeys::parse(&detach_keys(session, matches))?;
    Ok(tty.then_some(keys))
}

/// The keys that detach: the flag's, else those of config.json.
pub(crate) fn detach_keys(session: &Session, matches: &Matches) -> String {
    match matches.text("detach-keys") {
        "" => session.settings.config.detach_keys.clone(),
        keys => keys.to_owned(),
    }
}

/// The exit code that a wait was answered with.
pub(crate) async fn waited(answer: Answer, session: &Session) -> Result<i32, Error> {
    let bytes = session.client.collect(answer).await?;
    let response: WaitResponse = serde_json::from_slice(&bytes)
        .map_err(|error| Error::message(format!("invalid answer to wait: {error}")))?;
    match response.error {
        Some(error) if !error.message.is_empty() => Err(Error::Status {
            message: format!("Error response from daemon: {}", error.message),
            code: exit_code::DAEMON,
        }),
        _ => Ok(response.status_code as i32),
    }
}

async fn foreground(session: &Session, matches: &Matches, built: Built) -> Outcome {
    let config = &built.body.config;
    let tty = config.tty;
    let ends = [
        config.attach_stdin,
        config.attach_stdout,
        config.attach_stderr,
    ];
    check_tty(config.attach_stdin, tty)?;
    // Attach and wait each keep a connection, and the start needs another one.
    let creating = create::create(session, matches, &built);
    let (id, ()) = tokio::join!(creating, session.client.warm(2));
    let id = id?;
    let proxy = matches.bool("sig-proxy") && !tty;
    let mut signals = proxy.then(|| SignalQueue::catch(tty));
    let condition = match built.body.host_config.auto_remove {
        true => "removed",
        false => "next-exit",
    };
    let wait = Call::post(container_path(&id, "/wait")?).query("condition", condition);
    let attach = attach_call(&id, &detach_keys(session, matches), ends)?;
    let (hijacked, waiting) =
        tokio::join!(session.client.hijack(&attach), session.client.send(&wait));
    let (hijacked, waiting) = (hijacked?, waiting?);
    start(session, &id).await?;
    let raw = (tty && ends[0]).then(RawMode::enter).flatten();
    let streams = Streams {
        stdin: ends[0],
        output: ends[1] || ends[2],
        tty,
        keys: typed_keys(session, matches, tty)?,
    };
    let resize = container_path(&id, "/resize")?;
    let side = async {
        match &mut signals {
            Some(queue) => queue.forward(session, &id).await,
            None if tty && std::io::stdout().is_terminal() => follow_size(session, &resize).await,
            None => std::future::pending().await,
        }
    };
    let code = {
        let streaming = attach::run(session.printer, hijacked, streams);
        let main = finish(session, &id, tty, streaming, waiting);
        futures_util::pin_mut!(main, side);
        match futures_util::future::select(main, side).await {
            Either::Left((code, _)) => code,
            Either::Right(((), main)) => main.await,
        }
    };
    drop(raw);
    code.map(Ended::code)
}

/// How an attached session ended.
pub(crate) enum Ended {
    /// The container ended with this code.
    Exited(i32),
    /// The user left, the container goes on.
    Detached,
}

impl Ended {
    /// The exit code of a command for which leaving is no failure.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Detached => 0,
        }
    }
}

/// Waits for the streams and then for the exit. A container with a terminal
/// that still runs when its streams have ended was detached from.
pub(crate) async fn finish(
    session: &Session,
    id: &str,
    tty: bool,
    streaming: impl Future<Output = Result<Streamed, Error>>,
    waiting: Answer,
) -> Result<Ended, Error> {
    let exit = waited(waiting, session);
    futures_util::pin_mut!(streaming, exit);
    match futures_util::future::select(streaming, exit).await {
        Either::Left((streamed, exit)) => {
            if streamed? == Streamed::Detached {
                return Ok(Ended::Detached);
            }
            if !tty {
                return exit.await.map(Ended::Exited);
            }
            let detached = running_after_streams(session, id);
            futures_util::pin_mut!(detached);
            match futures_util::future::select(exit, detached).await {
                Either::Left((code, _)) => code.map(Ended::Exited),
                Either::Right((true, _)) => Ok(Ended::Detached),
                Either::Right((false, exit)) => exit.await.map(Ended::Exited),
            }
        }
        Either::Right((code, streaming)) => {
            // The last output may still be on its way.
            let _ = tokio::time::timeout(OUTPUT_GRACE, streaming).await;
            code.map(Ended::Exited)
        }
    }
}

/// Whether the container goes on although its streams have ended: the exit of
/// an ended one is known within moments.
pub(crate) async fn running_after_streams(session: &Session, id: &str) -> bool {
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let Ok(path) = container_path(id, "/json") else {
        return false;
    };
    let found: Result<ContainerInspect, Error> = session.client.json(&Call::get(path)).await;
    found.is_ok_and(|container| container.state.running)
}
