//! `/containers/{id}/exec` and `/exec/*`: further processes in a container.

use std::time::Duration;

use gantry_api::{ApiVersion, ExecCreate, ExecStartOptions, StreamKind};
use gantry_engine::{ExecStart, ExecStream};
use http::{HeaderMap, Method, StatusCode, header};
use tokio::io::AsyncWriteExt;

use crate::body::{Answer, Content, json};
use crate::call::Call;
use crate::error::Result;
use crate::hijack::{self, Client};
use crate::negotiate;
use crate::relay::{Framing, framed, relay};
use crate::router::Router;
use crate::routes::attach::{container_side, stream_type};
use crate::routes::containers::terminal_size;
use crate::state::State;

/// How long the end of a stream waits for the news of the end of its process.
const NEWS: Duration = Duration::from_secs(10);

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/containers/{id..}/exec", create);
    router.add(Method::POST, "/exec/{id}/start", start);
    router.add(Method::POST, "/exec/{id}/resize", resize);
    router.add(Method::GET, "/exec/{id}/json", inspect);
}

async fn create(mut call: Call) -> Result<Answer> {
    let mut request: ExecCreate = call.json().await?.unwrap_or_default();
    if call.version < ApiVersion::new(1, 42) {
        request.console_size = None;
    }
    let id = call.param("id");
    let created = call
        .run(move |engine| engine.containers.exec_create(&id, request))
        .await?;
    json(StatusCode::CREATED, &created)
}

async fn start(mut call: Call) -> Result<Answer> {
    let wish: ExecStartOptions = call.json().await?.unwrap_or_default();
    let id = call.param("id");
    let sized = call.version >= ApiVersion::new(1, 42) && wish.tty;
    let options = ExecStart {
        detach: wish.detach,
        console_size: wish.console_size.filter(|_| sized).map(|sides| {
            let side = |at: usize| sides.get(at).copied().unwrap_or(0);
            [side(0), side(1)].map(|side| u16::try_from(side).unwrap_or(u16::MAX))
        }),
    };
    if wish.detach {
        call.run(move |engine| engine.containers.exec_start(&id, options))
            .await?;
        return Ok(http::Response::new(Content::empty()));
    }
    let known = id.clone();
    call.run(move |engine| engine.containers.exec_check(&known))
        .await?;
    let mut headers = HeaderMap::new();
    negotiate::add_headers(&mut headers, call.state.experimental());
    let upgraded = call.headers.contains_key(header::UPGRADE);
    let head = hijack::head(stream_type(wish.tty, call.version), upgraded, &headers);
    let (busy, state) = (call.state.busy(), call.state);
    call.takeover
        .take(busy, move |mut client: Client| async move {
            // From here on failures are told in the stream.
            if hijack::greet(&mut client, &head).await {
                talk(client, &state, id, options, wish.tty).await;
            }
        })
        .await
}

async fn talk(mut client: Client, state: &State, id: String, options: ExecStart, raw: bool) {
    let started = match state.engine().await {
        Ok(engine) => {
            let start = move || engine.containers.exec_start(&id, options);
            match tokio::task::spawn_blocking(start).await {
                Ok(started) => started.map_err(|error| crate::error::Failure::from(error).message),
                Err(error) => Err(format!("internal error: {error}")),
            }
        }
        Err(failure) => Err(failure.message),
    };
    match started {
        Ok(stream) => carry(client, stream, raw).await,
        Err(message) => {
            tracing::debug!(error = message, "an exec did not start");
            client.wait_read().await;
            let line = format!("{message}\r\n").into_bytes();
            let line = match raw {
                true => line,
                false => framed(StreamKind::Stdout, &line),
            };
            // The client may be gone already.
            let _ = client.write_all(&line).await;
            let _ = client.shutdown().await;
        }
    }
}

async fn carry(mut client: Client, mut stream: ExecStream, raw: bool) {
    let socket = stream.socket.take().map(container_side);
    let Some(Ok(socket)) = socket else {
        return drop(client.shutdown().await);
    };
    client.wait_read().await;
    let framing = Framing::between(stream.tty, raw);
    let recorded = async {
        // A process that takes its streams elsewhere lives on without them.
        drop(tokio::time::timeout(NEWS, stream.told()).await);
    };
    relay(client, socket, framing, recorded).await;
}

async fn resize(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let (height, width) = terminal_size(&call)?;
    call.run(move |engine| engine.containers.exec_resize(&id, height, width))
        .await?;
    Ok(http::Response::new(Content::empty()))
}

async fn inspect(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let exec = call
        .run(move |engine| engine.containers.exec_inspect(&id))
        .await?;
    json(StatusCode::OK, &exec)
}
