//! `system dial-stdio`: this process's standard streams as a connection to the
//! daemon, for clients that come over ssh.

use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Outcome;
use crate::args::Matches;
use crate::session::Session;
use crate::session::attach::read_stdin;

/// `docker system dial-stdio`.
pub(crate) fn run<'a>(session: &'a Session, _: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let (from, to) = tokio::io::split(session.client.dial().await?);
        let sending = tokio::spawn(send(to));
        receive(session, from).await;
        sending.abort();
        Ok(0)
    })
}

async fn send(mut to: impl AsyncWrite + Unpin) {
    let mut input = read_stdin();
    while let Some(bytes) = input.recv().await {
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

async fn receive(session: &Session, mut from: impl AsyncRead + Unpin) {
    let mut chunk = vec![0; 32 << 10];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        if !session.printer.try_out_bytes(&chunk[..count]) {
            return;
        }
    }
}
