//! The end of a connection that is called.

use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::message_stream::{Incoming, Outgoing};
use crate::status::Status;

/// What may be on the way to us for one call, and for all of them.
const WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The most calls at a time on a connection, and the longest headers of one.
const MAX_CALLS: u32 = 250;
const MAX_HEADERS: u32 = 1 << 20;

/// A call of the other end.
pub struct Call {
    /// What it says of the call.
    pub metadata: HeaderMap,
    /// What it says within the call.
    pub incoming: Incoming,
}

/// Answers calls.
pub trait Service: Send + Sync + 'static {
    /// Answers a call of the method that `path` names.
    fn answer(
        self: Arc<Self>,
        path: &str,
        call: Call,
        outgoing: &mut Outgoing,
    ) -> impl Future<Output = Result<(), Status>> + Send;
}

/// Serves a connection until it ends; its calls end with it.
pub async fn serve(
    service: Arc<impl Service>,
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
    service: Arc<impl Service>,
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
    let ended = service.answer(path, call, &mut outgoing).await;
    if let Err(status) = &ended {
        tracing::debug!(path, %status, "a call failed");
    }
    outgoing.finish(ended);
}
