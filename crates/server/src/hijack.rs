//! Taking a connection over: from then on both sides send plain bytes, and each
//! ends its direction by itself. A handler never answers then; the connection
//! itself is handed to what goes on with it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;

use crate::body::Answer;
use crate::error::Result;
use crate::state::Busy;

/// How long a client may take to read the head of an answer.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often is looked whether it has.
const STEP: Duration = Duration::from_millis(1);
/// How long it may take where nobody can know.
const UNKNOWN: Duration = Duration::from_millis(10);

/// What goes on with a connection.
pub(crate) type Successor = Box<dyn FnOnce(Client) -> Running + Send>;
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The right to take the connection over that a request came on.
pub(crate) struct Takeover {
    successor: mpsc::Sender<Successor>,
}

impl Takeover {
    /// The right, and where whoever serves the connection learns that it is used.
    pub(crate) fn channel() -> (mpsc::Sender<Successor>, mpsc::Receiver<Successor>) {
        mpsc::channel(1)
    }

    pub(crate) fn of(successor: mpsc::Sender<Successor>) -> Self {
        Self { successor }
    }

    /// Takes the connection over. This never returns: the request is dropped, and
    /// `successor` goes on.
    pub(crate) async fn take<F>(
        self,
        busy: Busy,
        successor: impl FnOnce(Client) -> F + Send + 'static,
    ) -> Result<Answer>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let successor: Successor = Box::new(move |client| {
            Box::pin(async move {
                let _busy = busy;
                successor(client).await;
            })
        });
        // When the connection is gone, nobody waits for this either.
        drop(self.successor.send(successor).await);
        std::future::pending().await
    }
}

/// A connection that was taken over.
pub(crate) struct Client {
    /// What the client sent before, and nobody has read.
    unread: Bytes,
    stream: Box<dyn Duplex>,
}

/// A stream of bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether the other side has read all that was written, where one can know.
    fn is_read(&self) -> Option<bool> {
        None
    }
}

impl Duplex for TcpStream {}
impl<S: Duplex> Duplex for TlsStream<S> {}

impl Duplex for UnixStream {
    fn is_read(&self) -> Option<bool> {
        gantry_sys::unread_by_peer(self)
            .ok()
            .map(|unread| unread == 0)
    }
}

impl Client {
    pub(crate) fn new(unread: Bytes, stream: impl Duplex + 'static) -> Self {
        Self {
            unread,
            stream: Box::new(stream),
        }
    }

    /// Waits a little until the client has read the head of the answer. docker-py
    /// reads it through a buffer and the rest past that, and would lose what came
    /// together with it.
    pub(crate) async fn wait_read(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.stream.is_read() {
                Some(true) => return,
                Some(false) if Instant::now() < deadline => tokio::time::sleep(STEP).await,
                Some(false) => return,
                None => return tokio::time::sleep(UNKNOWN).await,
            }
        }
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let len = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..len]);
        self.unread.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The head of the answer, as Docker writes it: `101` when the client asked for
/// an upgrade, else `200` and no word on where the body ends.
pub(crate) fn head(kind: &str, upgraded: bool, more: &HeaderMap) -> String {
    let mut head = match upgraded {
        true => format!(
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\n\
             Upgrade: tcp\r\n"
        ),
        false => format!("HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\n"),
    };
    for (name, value) in more {
        let name: Vec<String> = name.as_str().split('-').map(capitalized).collect();
        let value = value.to_str().unwrap_or_default();
        head.push_str(&format!("{}: {value}\r\n", name.join("-")));
    }
    head.push_str("\r\n");
    head
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    format!("{}{rest}", first.to_ascii_uppercase())
}

/// Bytes as the terminal or the container made them.
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";
/// Frames that say which stream they are of.
pub(crate) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// Sends the head; whether the client is still there.
pub(crate) async fn greet(client: &mut Client, head: &str) -> bool {
    client.write_all(head.as_bytes()).await.is_ok() && client.flush().await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[test]
    fn heads_are_dockers() {
        assert_eq!(
            head(MULTIPLEXED, true, &HeaderMap::new()),
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        );
        let mut more = HeaderMap::new();
        more.insert("api-version", "1.51".parse().unwrap());
        assert_eq!(
            head(MULTIPLEXED, false, &more),
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
             Api-Version: 1.51\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn what_came_early_is_read_first() {
        let (ours, mut theirs) = tokio::net::UnixStream::pair().unwrap();
        let mut client = Client::new(Bytes::from_static(b"ab"), ours);
        theirs.write_all(b"cd").await.unwrap();
        drop(theirs);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "abcd");
    }
}
