//! Carrying bytes between a client and a container's shim. The shim sends raw
//! bytes of a terminal, and frames without one; a client may want the other.

use std::io;
use std::time::Duration;

use gantry_api::{Demultiplexer, StreamKind, frame_header};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_buf};
use tokio::net::UnixStream;

/// How much is carried at a time.
const PIECE: usize = 64 << 10;
/// How long a client may take to close after it was told that all is over.
const FAREWELL: Duration = Duration::from_secs(2);

/// What becomes of the output on its way to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing.
    Kept,
    /// Frames lose their headers.
    Removed,
    /// All is put into frames of standard output.
    Added,
}

impl Framing {
    /// From what a shim sends (frames unless there is a terminal) to what a
    /// client wants.
    pub(crate) fn between(tty: bool, wants_raw: bool) -> Self {
        match (tty, wants_raw) {
            (true, true) | (false, false) => Self::Kept,
            (false, true) => Self::Removed,
            (true, false) => Self::Added,
        }
    }
}

/// Carries bytes until the container's side ends or the client is gone; then
/// waits for `before_end`, and ends the client's side. The client's end of input
/// becomes the container's.
pub(crate) async fn relay(
    client: impl AsyncRead + AsyncWrite + Unpin,
    container: UnixStream,
    framing: Framing,
    before_end: impl Future<Output = ()>,
) {
    let (from_client, mut to_client) = tokio::io::split(client);
    let mut from_client = BufReader::with_capacity(PIECE, from_client);
    let (from_container, mut to_container) = container.into_split();
    let input = async {
        let copied = copy_buf(&mut from_client, &mut to_container).await;
        // When the container has closed its end there is nothing to tell it.
        let _ = to_container.shutdown().await;
        copied
    };
    {
        let output = carry_output(from_container, &mut to_client, framing);
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
    before_end.await;
    // The client may be gone already.
    if to_client.shutdown().await.is_ok() {
        drain(&mut from_client).await;
    }
}

/// Reads on until the client has seen the end, too, and closes: a socket that is
/// closed with unread input is reset, and its client may lose what was sent last.
async fn drain(from_client: &mut (impl AsyncRead + Unpin)) {
    let mut nowhere = tokio::io::sink();
    let rest = tokio::io::copy(from_client, &mut nowhere);
    // A client that neither closes nor reads has had its time.
    let _ = tokio::time::timeout(FAREWELL, rest).await;
}

/// Carries a container's output to its end.
///
/// # Errors
/// When one of the two sides breaks, or the frames make no sense.
pub(crate) async fn carry_output(
    from_container: impl AsyncRead + Unpin,
    to_client: &mut (impl AsyncWrite + Unpin),
    framing: Framing,
) -> io::Result<()> {
    let mut from = BufReader::with_capacity(PIECE, from_container);
    if framing == Framing::Kept {
        return copy_buf(&mut from, to_client).await.map(drop);
    }
    let mut frames = Demultiplexer::new();
    loop {
        let bytes = from.fill_buf().await?;
        let len = bytes.len();
        if len == 0 {
            return Ok(());
        }
        let converted = match framing {
            Framing::Added => framed(StreamKind::Stdout, bytes),
            _ => unframed(&mut frames, bytes)?,
        };
        to_client.write_all(&converted).await?;
        to_client.flush().await?;
        from.consume(len);
    }
}

/// What frames carry, one after the other.
fn unframed(frames: &mut Demultiplexer, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut payload = Vec::with_capacity(bytes.len());
    while let Some((_, piece)) = frames.next(&mut bytes).map_err(io::Error::other)? {
        payload.extend_from_slice(piece);
    }
    Ok(payload)
}

/// One frame.
pub(crate) fn framed(kind: StreamKind, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() + 8);
    frame.extend_from_slice(&frame_header(kind, bytes.len() as u32));
    frame.extend_from_slice(bytes);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn each_side_ends_its_own_direction() {
        let (client, server_end) = UnixStream::pair().unwrap();
        let (container, shim_end) = UnixStream::pair().unwrap();
        tokio::spawn(relay(server_end, container, Framing::Kept, async {}));
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

    #[tokio::test]
    async fn a_client_that_still_sends_gets_the_last_output() {
        let (client, server_end) = UnixStream::pair().unwrap();
        let (container, shim_end) = UnixStream::pair().unwrap();
        let relay = tokio::spawn(relay(server_end, container, Framing::Kept, async {}));
        let (mut read, mut write) = client.into_split();
        let sender =
            tokio::spawn(async move { while write.write_all(&[0; 4096]).await.is_ok() {} });
        let (shim_read, mut shim_write) = shim_end.into_split();
        drop(shim_read);
        shim_write.write_all(b"last words").await.unwrap();
        drop(shim_write);
        let mut text = String::new();
        read.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last words");
        sender.abort();
        drop(read);
        relay.await.unwrap();
    }

    async fn carried(bytes: &[u8], framing: Framing) -> Vec<u8> {
        let mut sent = Vec::new();
        carry_output(bytes, &mut sent, framing).await.unwrap();
        sent
    }

    #[tokio::test]
    async fn frames_come_and_go() {
        let frames = [
            framed(StreamKind::Stdout, b"out"),
            framed(StreamKind::Stderr, b"err"),
        ]
        .concat();
        assert_eq!(carried(&frames, Framing::Kept).await, frames);
        assert_eq!(carried(&frames, Framing::Removed).await, b"outerr");
        let added = carried(b"raw", Framing::Added).await;
        assert_eq!(added, framed(StreamKind::Stdout, b"raw"));
    }
}
