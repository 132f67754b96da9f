//! `POST /containers/{id}/attach`: a container's input and output over the
//! connection itself. With `Upgrade` the answer is 101, without it 200, as
//! Docker has it; and a client that sends its input as the body of its request
//! gets the output as the body of the answer.

use bytes::Bytes;
use gantry_api::ApiVersion;
use gantry_engine::{AttachQuery, AttachStream, LogStream};
use gantry_types::ErrorKind;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::body::{Answer, Content, with_type};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::hijack::{self, Client, MULTIPLEXED, RAW};
use crate::relay::{Framing, relay};
use crate::router::Router;
use crate::upload::Upload;

/// How much of the output is carried at a time.
const PIECE: usize = 32 << 10;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/containers/{id..}/attach", attach);
}

/// The content type of a stream; before API 1.42 there was only one name.
pub(super) fn stream_type(tty: bool, version: ApiVersion) -> &'static str {
    if tty || version < ApiVersion::new(1, 42) {
        RAW
    } else {
        MULTIPLEXED
    }
}

async fn attach(mut call: Call) -> Result<Answer> {
    let stream = match open(&call).await {
        Ok(stream) => stream,
        // Docker's clients expect a stream here, and print what comes.
        Err(failure) => return Ok(failure.into_plain_answer()),
    };
    let socket = stream.socket.map(container_side).transpose()?;
    if call.headers.contains_key(header::TRANSFER_ENCODING) {
        let (sender, content) = Content::pieces();
        tokio::spawn(talk_by_bodies(
            sender,
            stream.replay,
            socket,
            call.body.take(),
        ));
        return Ok(with_type(StatusCode::OK, RAW, content));
    }
    let upgraded = call.headers.contains_key(header::UPGRADE);
    let head = hijack::head(
        stream_type(stream.tty, call.version),
        upgraded,
        &HeaderMap::new(),
    );
    let busy = call.state.busy();
    let talk = move |client| talk(client, head, stream.replay, socket);
    call.takeover.take(busy, talk).await
}

/// Attaches as the query says.
///
/// # Errors
/// Those of the engine.
pub(super) async fn open(call: &Call) -> Result<AttachStream> {
    let id = call.param("id");
    let query = AttachQuery {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        stream: call.query.flag("stream"),
        logs: call.query.flag("logs"),
        detach_keys: call.query.owned("detachKeys"),
    };
    call.run(move |engine| engine.containers.attach(&id, &query))
        .await
}

/// The engine's end of an attachment, for asynchronous code.
pub(super) fn container_side(socket: std::os::unix::net::UnixStream) -> Result<UnixStream> {
    socket
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(socket))
        .map_err(|error| Failure::new(ErrorKind::Internal, format!("attaching: {error}")))
}

async fn talk(
    mut client: Client,
    head: String,
    replay: Option<LogStream>,
    socket: Option<UnixStream>,
) {
    if !hijack::greet(&mut client, &head).await {
        return;
    }
    if let Some(mut log) = replay {
        client.wait_read().await;
        while let Some(Ok(piece)) = log.chunks.recv().await {
            if client.write_all(&piece).await.is_err() {
                return;
            }
        }
    }
    match socket {
        Some(socket) => relay(client, socket, Framing::Kept, async {}).await,
        // The client may be gone already.
        None => drop(client.shutdown().await),
    }
}

async fn talk_by_bodies(
    sender: mpsc::Sender<Bytes>,
    replay: Option<LogStream>,
    socket: Option<UnixStream>,
    body: Option<Upload>,
) {
    if let Some(log) = replay {
        send_log(log, &sender).await;
    }
    let Some(socket) = socket else {
        return;
    };
    let (mut from_container, mut to_container) = socket.into_split();
    let input = async move {
        if let Some(mut body) = body {
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if to_container.write_all(&data).await.is_err() {
                    break;
                }
            }
        }
        // When the container has closed its end there is nothing to tell it.
        let _ = to_container.shutdown().await;
        std::future::pending::<()>().await
    };
    let output = async {
        let mut buffer = bytes::BytesMut::new();
        loop {
            buffer.reserve(PIECE);
            match from_container.read_buf(&mut buffer).await {
                Ok(len) if len > 0 => {}
                _ => return,
            }
            if sender.send(buffer.split().freeze()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = output => {}
        () = input => {}
        () = sender.closed() => {}
    }
}

/// Sends a log to its end, or until the client is gone.
pub(super) async fn send_log(mut log: LogStream, sender: &mpsc::Sender<Bytes>) {
    loop {
        let piece = tokio::select! {
            piece = log.chunks.recv() => piece,
            () = sender.closed() => return,
        };
        match piece {
            Some(Ok(piece)) => {
                if sender.send(piece.into()).await.is_err() {
                    return;
                }
            }
            Some(Err(error)) => return tracing::warn!(%error, "reading a log failed"),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_by_terminal_and_version() {
        assert_eq!(stream_type(true, ApiVersion::MAX), RAW);
        assert_eq!(stream_type(false, ApiVersion::MAX), MULTIPLEXED);
        assert_eq!(stream_type(false, ApiVersion::new(1, 41)), RAW);
    }
}
