//! The listener and its connections: HTTP/1.1 within bounds, kept alive, and ended
//! in an orderly way.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::service::{self, App, Door};

/// The most connections at a time; more wait in the kernel's queue.
const MOST: usize = 4096;
/// The most headers of a request.
const MAX_HEADERS: usize = 100;
/// What is read at most before it is consumed, which bounds a request's head too.
const MAX_BUFFER: usize = 64 << 10;
/// How long a client may take to send a head, also that of its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests may still go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// A pause after `accept` failed, which it does when there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves a listener until `stop` says true, then lets its connections finish.
pub(crate) async fn accept_all(
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Door,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // IPv4 clients of a socket for both families look like IPv6 ones.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                let (app, stop, tls) = (Arc::clone(&app), stop.clone(), tls.clone());
                connections.spawn(async move {
                    let _place = place;
                    // Only a hint to the kernel.
                    let _ = stream.set_nodelay(true);
                    let Some(tls) = tls else {
                        return serve(app, stream, peer, door, stop).await;
                    };
                    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                        Ok(Ok(stream)) => serve(app, stream, peer, door, stop).await,
                        Ok(Err(error)) => tracing::info!(%peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::info!(%peer, "TLS handshake took too long"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        tracing::warn!("requests that take too long are cut off");
    }
}

/// Returns when the end is asked for.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(stop.wait_for(|stop| *stop).await.map(drop));
}

async fn serve(
    app: Arc<App>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    door: Door,
    mut stop: watch::Receiver<bool>,
) {
    let answer = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(service::serve(app, request, peer, door).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
