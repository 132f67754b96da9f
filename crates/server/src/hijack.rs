//! Taking a connection over: after `101 UPGRADED` both sides send plain bytes,
//! and each ends its direction by itself.

use std::io;

use http::{HeaderValue, StatusCode, header};
use hyper::ext::ReasonPhrase;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_buf};
use tokio::net::UnixStream;

use crate::body::{Answer, Content, with_type};

/// How much is carried at a time.
const PIECE: usize = 64 << 10;

/// The answer after which the connection is a plain one.
pub(crate) fn accepted(kind: &'static str) -> Answer {
    let mut answer = with_type(StatusCode::SWITCHING_PROTOCOLS, kind, Content::empty());
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    let reason = ReasonPhrase::from_static(b"UPGRADED");
    answer.extensions_mut().insert(reason);
    answer
}

/// The connection, once the client has been told.
///
/// # Errors
/// When the client left before.
pub(crate) async fn connection(upgrade: OnUpgrade) -> io::Result<TokioIo<Upgraded>> {
    upgrade.await.map(TokioIo::new).map_err(io::Error::other)
}

/// Carries bytes between a client and a container until the container's side
/// ends or the client is gone. The client's end of input becomes the
/// container's.
pub(crate) async fn relay(client: impl AsyncRead + AsyncWrite + Unpin, container: UnixStream) {
    let (from_client, mut to_client) = tokio::io::split(client);
    let (from_container, mut to_container) = container.into_split();
    let input = async {
        let mut from_client = tokio::io::BufReader::with_capacity(PIECE, from_client);
        let copied = copy_buf(&mut from_client, &mut to_container).await;
        // When the container has closed its end there is nothing to tell it.
        let _ = to_container.shutdown().await;
        copied
    };
    let output = async {
        let mut from_container = tokio::io::BufReader::with_capacity(PIECE, from_container);
        copy_buf(&mut from_container, &mut to_client).await
    };
    {
        tokio::pin!(input, output);
        let mut input_open = true;
        loop {
            tokio::select! {
                _ = &mut output => break,
                // Its input may end long before the output does; and what cannot
                // be read any more may still be written.
                _ = &mut input, if input_open => input_open = false,
            }
        }
    }
    // The client may be gone already.
    let _ = to_client.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn each_side_ends_its_own_direction() {
        let (client, server_end) = UnixStream::pair().unwrap();
        let (container, shim_end) = UnixStream::pair().unwrap();
        tokio::spawn(relay(server_end, container));
        let (mut read, mut write) = client.into_split();
        let (mut shim_read, mut shim_write) = shim_end.into_split();
        write.write_all(b"in").await.unwrap();
        write.shutdown().await.unwrap();
        let mut text = String::new();
        shim_read.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "in");
        shim_write.write_all(b"out").await.unwrap();
        drop((shim_read, shim_write));
        text.clear();
        read.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "out");
    }

    #[test]
    fn the_answer_is_dockers() {
        let answer = accepted("application/vnd.docker.raw-stream");
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()["upgrade"], "tcp");
        let reason = answer.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(reason.as_bytes(), b"UPGRADED");
    }
}
