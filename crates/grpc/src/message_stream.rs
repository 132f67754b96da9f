//! Messages over one stream of an HTTP/2 connection: five bytes before each (a flag
//! and a length), and a status in the trailers. Both sides speak it; which of them
//! calls makes no difference here.

use std::future::poll_fn;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream};

use crate::status::{Code, Status};

/// The longest message, as in BuildKit.
const MAX_MESSAGE: usize = 16 << 20;
/// What comes before each message.
const PREFIX: usize = 5;

/// Messages that come in.
pub struct Incoming {
    stream: RecvStream,
    buffer: BytesMut,
}

impl Incoming {
    /// Those of a stream.
    pub fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The next message; `None` when the other side has ended.
    ///
    /// # Errors
    /// When the stream breaks, or a message is too long or compressed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(message));
            }
            let Some(piece) = self.stream.data().await else {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(Status::internal("a message broke off")),
                };
            };
            let piece = piece.map_err(broken)?;
            // The window is bounded by what lies in the buffer, one message at most.
            self.stream
                .flow_control()
                .release_capacity(piece.len())
                .map_err(broken)?;
            self.buffer.extend_from_slice(&piece);
        }
    }

    fn whole(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(&[flag, a, b, c, d]) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if flag != 0 {
            return Err(Status::unsupported("compressed messages are not supported"));
        }
        if len > MAX_MESSAGE {
            return Err(Status::invalid(format!(
                "a message of {len} bytes is longer than {MAX_MESSAGE}"
            )));
        }
        if self.buffer.len() < PREFIX + len {
            self.buffer.reserve(PREFIX + len - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// The only message of a call.
    ///
    /// # Errors
    /// As [`Self::next`], and when there is none.
    pub async fn only(&mut self) -> Result<Bytes, Status> {
        let message = self.next().await?;
        message.ok_or_else(|| Status::invalid("a call without a message"))
    }

    /// The status that the other side ended with.
    ///
    /// # Errors
    /// The status, unless all went well.
    pub async fn status(&mut self) -> Result<(), Status> {
        match self.stream.trailers().await.map_err(broken)? {
            Some(trailers) => Status::check(&trailers),
            None => Err(Status::internal(
                "the other side has ended a call without a status",
            )),
        }
    }
}

/// Messages that go out.
pub struct Outgoing {
    stream: SendStream<Bytes>,
}

impl Outgoing {
    /// Those of a stream.
    pub fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream }
    }

    /// Sends a message, as fast as the other side takes it.
    ///
    /// # Errors
    /// When the stream or its connection is gone.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Status> {
        let mut framed = BytesMut::with_capacity(PREFIX + message.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).map_err(|_| Status::internal("too long"))?);
        framed.extend_from_slice(message);
        let mut rest = framed.freeze();
        while !rest.is_empty() {
            self.stream.reserve_capacity(rest.len());
            let room = match self.stream.capacity() {
                0 => poll_fn(|context| self.stream.poll_capacity(context))
                    .await
                    .ok_or_else(Status::canceled)?
                    .map_err(broken)?,
                room => room,
            };
            let piece = rest.split_to(room.min(rest.len()));
            self.stream.send_data(piece, false).map_err(broken)?;
        }
        Ok(())
    }

    /// Ends this side without a status, as a caller does.
    pub fn end(&mut self) {
        // The other side may have gone first.
        drop(self.stream.send_data(Bytes::new(), true));
    }

    /// Ends the call with a status, as the called side does.
    pub fn finish(mut self, ended: Result<(), Status>) {
        let status = match ended {
            Ok(()) => Status::new(Code::Ok, ""),
            Err(status) => status,
        };
        // The caller may be gone.
        drop(self.stream.send_trailers(status.trailers()));
    }

    /// Waits until the other side gives the stream up.
    pub async fn given_up(&mut self) {
        drop(poll_fn(|context| self.stream.poll_reset(context)).await);
    }
}

/// A stream or a connection that failed.
pub fn broken(error: h2::Error) -> Status {
    match error.reason() {
        Some(h2::Reason::CANCEL) => Status::canceled(),
        _ => Status::new(Code::Unavailable, format!("the connection broke: {error}")),
    }
}
