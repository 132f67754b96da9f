//! `POST /containers/{id}/attach`: a container's input and output over the
//! connection itself; without `Upgrade` its output only, as a body.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gantry_api::ApiVersion;
use gantry_engine::{AttachQuery, LogStream};
use gantry_types::ErrorKind;
use http::{Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::body::{Answer, Content, with_type};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::hijack;
use crate::router::Router;

/// Bytes as the terminal or the container made them.
const RAW: &str = "application/vnd.docker.raw-stream";
/// Frames that say which stream they are of.
const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// How much of the output is carried at a time.
const PIECE: usize = 32 << 10;
/// How long after the answer's head a replay begins: docker-py reads the head
/// through a buffer and the rest past it, and loses what came together.
const AFTER_HEAD: Duration = Duration::from_millis(10);

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/containers/{id}/attach", attach);
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
    let id = call.param("id");
    let query = AttachQuery {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        stream: call.query.flag("stream"),
        logs: call.query.flag("logs"),
        detach_keys: call.query.owned("detachKeys"),
    };
    let stream = call
        .run(move |engine| engine.containers.attach(&id, &query))
        .await?;
    let socket = stream.socket.map(container_side).transpose()?;
    let asked = call.headers.contains_key(header::UPGRADE);
    match call.upgrade.take().filter(|_| asked) {
        Some(upgrade) => {
            tokio::spawn(talk(upgrade, stream.replay, socket));
            Ok(hijack::accepted(stream_type(stream.tty, call.version)))
        }
        None => {
            let (sender, content) = Content::pieces();
            tokio::spawn(send_output(sender, stream.replay, socket));
            Ok(with_type(StatusCode::OK, RAW, content))
        }
    }
}

/// The engine's end of an attachment, for asynchronous code.
fn container_side(socket: std::os::unix::net::UnixStream) -> Result<UnixStream> {
    socket
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(socket))
        .map_err(|error| Failure::new(ErrorKind::Internal, format!("attaching: {error}")))
}

async fn talk(upgrade: OnUpgrade, replay: Option<LogStream>, socket: Option<UnixStream>) {
    let mut client = match hijack::connection(upgrade).await {
        Ok(client) => client,
        Err(error) => return tracing::debug!(%error, "a client left before it was attached"),
    };
    if let Some(mut log) = replay {
        tokio::time::sleep(AFTER_HEAD).await;
        while let Some(Ok(piece)) = log.chunks.recv().await {
            if client.write_all(&piece).await.is_err() {
                return;
            }
        }
    }
    match socket {
        Some(socket) => hijack::relay(client, socket).await,
        // The client may be gone already.
        None => drop(client.shutdown().await),
    }
}

async fn send_output(
    sender: mpsc::Sender<Bytes>,
    replay: Option<LogStream>,
    socket: Option<UnixStream>,
) {
    if let Some(log) = replay {
        send_log(log, &sender).await;
    }
    let Some(mut socket) = socket else {
        return;
    };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let read = tokio::select! {
            read = socket.read_buf(&mut buffer) => read,
            () = sender.closed() => return,
        };
        match read {
            Ok(len) if len > 0 => {}
            _ => return,
        }
        if sender.send(buffer.split().freeze()).await.is_err() {
            return;
        }
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
