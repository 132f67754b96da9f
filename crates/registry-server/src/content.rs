//! The bodies of answers: all there is, a part of a file, or pieces as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::file_body::FileBody;

/// An answer on its way out.
pub(crate) type Answer = http::Response<Content>;

/// The body of an answer.
pub(crate) enum Content {
    Full(Option<Bytes>),
    File(FileBody),
    /// Pieces of a body of known length; after an error the connection is cut.
    Pieces(mpsc::Receiver<io::Result<Bytes>>, u64),
}

impl Content {
    pub(crate) fn empty() -> Self {
        Self::Full(None)
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Some(bytes.into()))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match self.get_mut() {
            Self::Full(bytes) => bytes.take().map(Ok),
            Self::File(file) => ready!(file.poll_piece(context)),
            Self::Pieces(pieces, _) => ready!(pieces.poll_recv(context)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::File(file) => file.left() == 0,
            Self::Pieces(_, length) => *length == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Full(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::File(file) => file.left(),
            Self::Pieces(_, length) => *length,
        })
    }
}

/// An answer without a body.
pub(crate) fn status(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Content::empty());
    *answer.status_mut() = status;
    answer
}

/// An answer with a JSON document.
pub(crate) fn json(value: &serde_json::Value) -> Answer {
    let mut answer = Answer::new(Content::full(value.to_string() + "\n"));
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// Sets a header that is made of checked text.
pub(crate) fn set(answer: &mut Answer, name: header::HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        answer.headers_mut().insert(name, value);
    }
}
