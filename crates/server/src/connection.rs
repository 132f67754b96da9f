//! Listeners and their connections: accept, speak HTTP/1.1 within bounds, and
//! end in an orderly way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::hijack::{Client, Duplex, Takeover};
use crate::listen::Listener;
use crate::peers::{MOST, Peer, Place};
use crate::service;
use crate::state::State;

/// The longest head of a request.
const MAX_HEAD: usize = 256 << 10;
/// The most headers in it.
const MAX_HEADERS: usize = 200;
/// How long a client over TCP may take to send a head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client that is turned away may take to hear it.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long requests may still get their answers after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);
/// How long answers may take to be sent then; streams are cut off.
const FLUSH: Duration = Duration::from_millis(200);
/// A pause after `accept` failed, which it does when there are no more fds.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves one listener until `stop` says true, then lets its connections finish.
pub(crate) async fn accept_all(
    state: Arc<State>,
    listener: Listener,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let for_connections = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept_one(&listener, &state, &for_connections) => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok(connection) => {
                connections.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, listener = %listener, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = finish => {}
        () = all_answered(&state) => tracing::debug!("open streams are cut off"),
    }
}

/// Returns when the end is asked for.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(stop.wait_for(|stop| *stop).await.map(drop));
}

/// Returns when every request has had the time to be answered.
async fn all_answered(state: &State) {
    let deadline = tokio::time::Instant::now() + GRACE;
    while state.has_unanswered() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(ACCEPT_PAUSE / 10).await;
    }
    tokio::time::sleep(FLUSH).await;
}

type Connection = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn accept_one(
    listener: &Listener,
    state: &Arc<State>,
    stop: &watch::Receiver<bool>,
) -> std::io::Result<Connection> {
    let (state, stop) = (Arc::clone(state), stop.clone());
    Ok(match listener {
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
            let peer = Peer::Process(pid.unwrap_or(0));
            match state.peers.admit(peer) {
                Some(place) => Box::pin(serve(state, place, stream, None, stop)),
                None => Box::pin(turn_away(peer, stream)),
            }
        }
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let peer = Peer::Address(peer.ip());
            match state.peers.admit(peer) {
                Some(place) => Box::pin(serve(state, place, stream, Some(HEAD_TIMEOUT), stop)),
                None => Box::pin(turn_away(peer, stream)),
            }
        }
        Listener::Tls(listener, acceptor) => {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            let Some(place) = state.peers.admit(Peer::Address(peer.ip())) else {
                tracing::warn!(%peer, "too many connections");
                return Ok(Box::pin(async {}));
            };
            Box::pin(async move {
                let handshake = acceptor.accept(stream);
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                    Ok(Ok(stream)) => serve(state, place, stream, Some(HEAD_TIMEOUT), stop).await,
                    Ok(Err(error)) => tracing::warn!(%peer, %error, "TLS handshake failed"),
                    Err(_) => tracing::warn!(%peer, "TLS handshake took too long"),
                }
            })
        }
    })
}

/// Says that its peer has too many connections already.
async fn turn_away(peer: Peer, mut stream: impl Duplex + 'static) {
    tracing::warn!(%peer, "too many connections");
    let text =
        format!("{{\"message\":\"too many connections: {peer} has {MOST} open already\"}}\n");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // A client that does not listen has had its chance.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, told).await;
}

async fn serve(
    state: Arc<State>,
    place: Place,
    stream: impl Duplex + 'static,
    head_timeout: Option<Duration>,
    mut stop: watch::Receiver<bool>,
) {
    let (successor, mut successors) = Takeover::channel();
    let answer = service_fn(move |request| {
        let (state, takeover) = (Arc::clone(&state), Takeover::of(successor.clone()));
        let peer = place.peer();
        async move { Ok::<_, Infallible>(service::serve(state, request, takeover, peer).await) }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), answer);
    let mut stopping = false;
    let successor = loop {
        tokio::select! {
            biased;
            Some(successor) = successors.recv() => break successor,
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = stopped(&mut stop), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    // Nothing of an answer has been written for this request, and the client has
    // read those before: all that hyper still holds is what it read ahead.
    let parts = connection.into_parts();
    successor(Client::new(parts.read_buf, parts.io.into_inner())).await;
}
