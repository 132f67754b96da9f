//! `start`, alone or attached.

use futures_util::future::{Either, LocalBoxFuture, select};
use gantry_api::ContainerInspect;

use super::{Outcome, container_path, run};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::session::attach::{self, Streams};
use crate::session::signals::{SignalQueue, follow_size};
use crate::session::terminal::RawMode;
use crate::transport::Call;

/// `docker start`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        if matches.changed("checkpoint") || matches.changed("checkpoint-dir") {
            return Err(Error::Unsupported(
                "starting from a checkpoint is not supported yet".to_owned(),
            ));
        }
        if matches.bool("attach") || matches.bool("interactive") {
            if matches.operands.len() > 1 {
                return Err(Error::message(
                    "you cannot start and attach multiple containers at once",
                ));
            }
            return attached(session, matches, &matches.operands[0]).await;
        }
        let mut failures = Vec::new();
        let mut failed = Vec::new();
        for name in &matches.operands {
            let call = Call::post(container_path(name, "/start")?);
            match session.client.done(&call).await {
                Ok(()) => session.printer.line(name),
                Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    failures.push(error.to_string());
                    failed.push(name.as_str());
                }
            }
        }
        if failed.is_empty() {
            return Ok(0);
        }
        failures.push(format!(
            "Error: failed to start containers: {}",
            failed.join(", ")
        ));
        Err(Error::Several(failures))
    })
}

async fn attached(session: &Session, matches: &Matches, name: &str) -> Outcome {
    let path = container_path(name, "/json")?;
    let container: ContainerInspect = session.client.json(&Call::get(path)).await?;
    let id = container.id.as_str();
    let tty = container.config.tty;
    let stdin = matches.bool("interactive") && container.config.open_stdin;
    run::check_tty(stdin, tty)?;
    let mut signals = (!tty).then(|| SignalQueue::catch(tty));
    let call = run::attach_call(id, &run::detach_keys(session, matches), [stdin, true, true])?;
    let condition = match container.host_config.auto_remove {
        true => "removed",
        false => "next-exit",
    };
    let wait = Call::post(container_path(id, "/wait")?).query("condition", condition);
    let (hijacked, waiting) =
        tokio::join!(session.client.hijack(&call), session.client.send(&wait));
    let (hijacked, waiting) = (hijacked?, waiting?);
    session
        .client
        .done(&Call::post(container_path(id, "/start")?))
        .await?;
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
            None => follow_size(session, &resize).await,
        }
    };
    let streaming = attach::run(session.printer, hijacked, streams);
    let main = run::finish(session, id, tty, streaming, waiting);
    futures_util::pin_mut!(main, side);
    let code = match select(main, side).await {
        Either::Left((code, _)) => code,
        Either::Right(((), main)) => main.await,
    };
    drop(raw);
    code.map(run::Ended::code)
}
