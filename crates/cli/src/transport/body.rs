//! Request bodies: bytes at hand, or chunks that a thread reads.

use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use tokio::sync::mpsc;

/// The body of a request.
pub(crate) type SendBody = BoxBody<Bytes, std::io::Error>;

const CHUNK: usize = 256 << 10;

/// A body of bytes at hand.
pub(crate) fn full(bytes: Bytes) -> SendBody {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

struct Chunks(mpsc::Receiver<std::io::Result<Bytes>>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0
            .poll_recv(context)
            .map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }
}

/// What is written here is sent; the body ends when this is dropped.
pub(crate) struct BodyWriter {
    sender: mpsc::Sender<std::io::Result<Bytes>>,
    chunk: Vec<u8>,
    /// How much was sent.
    pub(crate) bytes: Arc<AtomicU64>,
}

/// A body that another thread writes, a few chunks ahead.
pub(crate) fn written_body() -> (BodyWriter, SendBody) {
    let (sender, receiver) = mpsc::channel(4);
    let writer = BodyWriter {
        sender,
        chunk: Vec::with_capacity(CHUNK),
        bytes: Arc::default(),
    };
    (writer, Chunks(receiver).boxed())
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        let count = chunk.len() as u64;
        let sent = self.sender.blocking_send(Ok(Bytes::from(chunk)));
        sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        self.bytes.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }
}

/// A body that a thread of its own reads from `source`, a few chunks ahead.
pub(crate) fn channel_body(mut source: impl Read + Send + 'static) -> SendBody {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let next = match source.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    Ok(Bytes::from(chunk))
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = next.is_err();
            if sender.blocking_send(next).is_err() || failed {
                return;
            }
        }
    });
    Chunks(receiver).boxed()
}
