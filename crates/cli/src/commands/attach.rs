//! `attach`: this terminal's streams to a running container.

use futures_util::future::{Either, LocalBoxFuture, select};
use gantry_api::ContainerInspect;

use super::{Outcome, container_path, run};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::session::attach::{self, Streams};
use crate::session::signals::{SignalQueue, follow_size};
use crate::session::terminal::{self, RawMode};
use crate::transport::Call;

/// `docker attach`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        let path = container_path(name, "/json")?;
        let container: ContainerInspect = session.client.json(&Call::get(path)).await?;
        refuse_unless_running(&container)?;
        let id = container.id.as_str();
        let tty = container.config.tty;
        let stdin = container.config.open_stdin && !matches.bool("no-stdin");
        run::check_tty(stdin, tty)?;
        let proxy = matches.bool("sig-proxy") && !tty;
        let mut signals = proxy.then(|| SignalQueue::catch(tty));
        let call = run::attach_call(id, &run::detach_keys(session, matches), [stdin, true, true])?;
        let wait = Call::post(container_path(id, "/wait")?);
        let (hijacked, waiting) =
            tokio::join!(session.client.hijack(&call), session.client.send(&wait));
        let (hijacked, waiting) = (hijacked?, waiting?);
        if tty {
            redraw(session, id).await;
        }
        let raw = (tty && stdin).then(RawMode::enter).flatten();
        let streams = Streams {
            stdin,
            output: true,
            tty,
            keys: run::typed_keys(session, matches, tty)?,
        };
        let resize = container_path(id, "/resize")?;
        let side = async {
            match &mut signals {
                Some(queue) => queue.forward(session, id).await,
                None if tty => follow_size(session, &resize).await,
                None => std::future::pending().await,
            }
        };
        let streaming = attach::run(session.printer, hijacked, streams);
        let main = run::finish(session, id, tty, streaming, waiting);
        futures_util::pin_mut!(main, side);
        let ended = match select(main, side).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), main)) => main.await,
        };
        drop(raw);
        match ended? {
            run::Ended::Exited(code) => Ok(code),
            run::Ended::Detached => Err(Error::message("read escape sequence")),
        }
    })
}

/// Changes the size for a moment, so that programs draw their screen anew.
async fn redraw(session: &Session, id: &str) {
    let (rows, columns) = terminal::size();
    if (rows, columns) == (0, 0) {
        return;
    }
    if let Ok(path) = container_path(id, "/resize") {
        let call = Call::post(path)
            .query("h", &(rows + 1).to_string())
            .query("w", &(columns + 1).to_string());
        // A container that has just ended has no terminal any more.
        let _ = session.client.done(&call).await;
    }
}

fn refuse_unless_running(container: &ContainerInspect) -> Result<(), Error> {
    let state = &container.state;
    if state.paused {
        return Err(Error::message(
            "You cannot attach to a paused container, unpause it first",
        ));
    }
    if state.restarting {
        return Err(Error::message(
            "You cannot attach to a restarting container, wait until it is running",
        ));
    }
    if !state.running {
        return Err(Error::message(
            "You cannot attach to a stopped container, start it first",
        ));
    }
    Ok(())
}
