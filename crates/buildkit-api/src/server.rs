//! A connection over which a client calls us: which method is whose.

use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::message_stream::{Incoming, Outgoing};
use crate::status::Status;
use crate::wire::Message;
use crate::{BuildKit, bridge, content, control, history, session};

/// What may be on the way to us for one call, and for all of them.
const WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The most calls at a time on a connection, and the longest headers of one.
const MAX_CALLS: u32 = 250;
const MAX_HEADERS: u32 = 1 << 20;

/// A call of a client.
pub(crate) struct Call {
    pub(crate) metadata: HeaderMap,
    pub(crate) incoming: Incoming,
}

/// Serves a connection until it ends; its calls end with it.
pub(crate) async fn run(
    service: Arc<BuildKit>,
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) {
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_CALLS)
        .max_header_list_size(MAX_HEADERS)
        .handshake::<_, Bytes>(io)
        .await;
    let mut connection = match handshake {
        Ok(connection) => connection,
        Err(error) => return tracing::debug!(%error, "a gRPC connection did not begin"),
    };
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    calls.spawn(answer(Arc::clone(&service), request, respond));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a gRPC connection broke");
                    return;
                }
                None => return,
            },
            Some(_) = calls.join_next() => {}
        }
    }
}

async fn answer(
    service: Arc<BuildKit>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (parts, body) = request.into_parts();
    let mut head = Response::new(());
    let kind = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert("content-type", kind);
    let Ok(stream) = respond.send_response(head, false) else {
        return;
    };
    let mut outgoing = Outgoing::new(stream);
    let call = Call {
        metadata: parts.headers,
        incoming: Incoming::new(body),
    };
    let path = parts.uri.path();
    let ended = match path {
        "/moby.buildkit.v1.Control/Status" => control::status(&service, call, &mut outgoing).await,
        "/moby.buildkit.v1.Control/Session" => {
            session::tunnel(&service.sessions, call, &mut outgoing).await
        }
        "/moby.buildkit.v1.Control/Prune" => control::prune(&service, call, &mut outgoing).await,
        "/moby.buildkit.v1.Control/ListenBuildHistory" => {
            history::listen(&service, call, &mut outgoing).await
        }
        "/containerd.services.content.v1.Content/Read" => {
            content::read(&service, call, &mut outgoing).await
        }
        _ => unary(&service, path, call, &mut outgoing).await,
    };
    if let Err(status) = &ended {
        tracing::debug!(path, %status, "a call failed");
    }
    outgoing.finish(ended);
}

/// Answers a call with one message, unless the client gives up before.
async fn unary(
    service: &Arc<BuildKit>,
    path: &str,
    call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let message = tokio::select! {
        message = dispatch(service, path, call) => message?,
        () = outgoing.given_up() => return Err(Status::canceled()),
    };
    outgoing.send(&message.into_bytes()).await
}

async fn dispatch(service: &Arc<BuildKit>, path: &str, call: Call) -> Result<Message, Status> {
    if let Some(method) = path.strip_prefix("/moby.buildkit.v1.Control/") {
        return match method {
            "ListWorkers" => control::list_workers(service),
            "Info" => Ok(control::info()),
            "Solve" => control::solve(service, call).await,
            "DiskUsage" => control::disk_usage(service, call).await,
            "UpdateBuildHistory" => history::update(service, call).await,
            _ => Err(unknown(path)),
        };
    }
    if let Some(method) = path.strip_prefix("/moby.buildkit.v1.frontend.LLBBridge/") {
        return bridge::call(service, method, call).await;
    }
    if path == "/containerd.services.content.v1.Content/Info" {
        return content::info(service, call).await;
    }
    if path == "/grpc.health.v1.Health/Check" {
        return Ok(Message::new().number(1, 1));
    }
    Err(unknown(path))
}

/// What is said of a method that is not served.
pub(crate) fn unknown(path: &str) -> Status {
    Status::unsupported(format!("{path} is not supported by this version of gantry"))
}
