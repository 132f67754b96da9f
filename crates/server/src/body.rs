//! Bodies: what answers consist of, how requests' JSON is read within bounds,
//! and how a request's bytes reach blocking code.

use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::error::{Failure, Result};
use crate::upload::Upload;

/// An answer on its way out.
pub(crate) type Answer = http::Response<Content>;

/// The longest JSON body that is read.
const JSON_LIMIT: usize = 8 << 20;
/// How many pieces of a body may wait for the one that reads them.
const PIECES_IN_FLIGHT: usize = 4;

/// The body of an answer: all there is, or pieces as they come.
#[derive(Debug)]
pub(crate) enum Content {
    Full(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
    /// As pieces, but the client learns when not all of them came.
    Whole(mpsc::Receiver<io::Result<Bytes>>),
}

impl Content {
    pub(crate) fn empty() -> Self {
        Self::Full(None)
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Some(bytes.into()))
    }

    /// A body that is sent piece by piece; it ends when the sender is dropped,
    /// and the sender learns from a failed `send` that the client is gone.
    pub(crate) fn pieces() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
        (sender, Self::Pieces(receiver))
    }

    /// A body that is sent piece by piece; after an error the connection is cut off,
    /// so that nobody takes what came for all of it.
    pub(crate) fn whole() -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
        (sender, Self::Whole(receiver))
    }

    #[cfg(test)]
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Full(bytes) => Some(bytes.unwrap_or_default()),
            Self::Pieces(_) | Self::Whole(_) => None,
        }
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
            Self::Pieces(receiver) => ready!(receiver.poll_recv(context)).map(Ok),
            Self::Whole(receiver) => ready!(receiver.poll_recv(context)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Pieces(_) | Self::Whole(_) => SizeHint::default(),
        }
    }
}

/// An answer without a body.
pub(crate) fn no_content(status: StatusCode) -> Answer {
    let mut answer = http::Response::new(Content::empty());
    *answer.status_mut() = status;
    answer
}

/// `value` as JSON with a newline, as Docker ends its documents.
///
/// # Errors
/// When the value cannot be written as JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Answer> {
    let text = json_line(value)?;
    Ok(with_type(status, "application/json", Content::full(text)))
}

/// One line of a stream of JSON documents.
///
/// # Errors
/// When the value cannot be written as JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value).map_err(|error| Failure {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: format!("writing the answer: {error}"),
        plain: false,
    })?;
    text.push(b'\n');
    Ok(text)
}

/// An answer with a body of this type.
pub(crate) fn with_type(status: StatusCode, kind: &'static str, content: Content) -> Answer {
    let mut answer = http::Response::new(content);
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// Reads a request's JSON body; none at all means the zero value.
///
/// # Errors
/// When its type is another one, when it is too long, or when it is not JSON of
/// the shape of `T`.
pub(crate) async fn read_json<T>(headers: &HeaderMap, body: Upload) -> Result<Option<T>>
where
    T: DeserializeOwned + Default,
{
    check_type(headers, !body.is_end_stream())?;
    let bytes = match Limited::new(body, JSON_LIMIT).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Failure {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                message: format!("request body too large: more than {JSON_LIMIT} bytes"),
                plain: false,
            });
        }
        Err(error) => return Err(Failure::invalid(format!("reading the body: {error}"))),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    gantry_api::decode(&bytes)
        .map(Some)
        .map_err(Failure::invalid)
}

/// Checks that a request's body is said to be JSON; without one nothing need be
/// said.
///
/// # Errors
/// When it is said to be something else, or the header makes no sense.
pub(crate) fn check_type(headers: &HeaderMap, has_body: bool) -> Result<()> {
    let Some(declared) = headers.get(header::CONTENT_TYPE) else {
        return match has_body {
            true => Err(malformed("", "no media type")),
            false => Ok(()),
        };
    };
    let declared = declared.to_str().unwrap_or("");
    let (kind, parameters) = declared.split_once(';').unwrap_or((declared, ""));
    if kind.trim().is_empty() {
        return Err(malformed(declared, "no media type"));
    }
    let parameters = parameters.split(';').map(str::trim);
    if !{ parameters }.all(|parameter| parameter.is_empty() || parameter.contains('=')) {
        return Err(malformed(declared, "invalid media parameter"));
    }
    match kind.trim().eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(Failure::invalid(format!(
            "unsupported Content-Type header ({declared}): must be 'application/json'"
        ))),
    }
}

fn malformed(declared: &str, why: &str) -> Failure {
    Failure::invalid(format!(
        "malformed Content-Type header ({declared}): mime: {why}"
    ))
}

/// A request's body for blocking code: bytes as they arrive, an error when the
/// client breaks off.
#[derive(Debug)]
pub(crate) struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl BodyReader {
    /// Starts to hand on `body`; it is read only as fast as this is read.
    pub(crate) fn new<B>(body: Option<B>) -> Self
    where
        B: Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
    {
        let (sender, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
        tokio::spawn(async move {
            let Some(mut body) = body else {
                return;
            };
            while let Some(frame) = body.frame().await {
                let piece = match frame.map(Frame::into_data) {
                    Ok(Ok(data)) => Ok(data),
                    Ok(Err(_trailers)) => continue,
                    Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
                };
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Self {
            pieces,
            current: Bytes::new(),
        }
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_types_are_recognized() {
        let check = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            check_type(&headers, true).map_err(|failure| failure.message)
        };
        assert_eq!(check("application/json"), Ok(()));
        assert_eq!(check("Application/JSON; charset=utf-8"), Ok(()));
        for (text, message) in [
            (
                "text/plain",
                "unsupported Content-Type header (text/plain): must be 'application/json'",
            ),
            (
                "application/json;x",
                "malformed Content-Type header (application/json;x): mime: invalid media parameter",
            ),
            ("", "malformed Content-Type header (): mime: no media type"),
        ] {
            assert_eq!(check(text).unwrap_err(), message);
        }
        assert!(check_type(&HeaderMap::new(), false).is_ok());
        assert!(check_type(&HeaderMap::new(), true).is_err());
    }

    #[tokio::test]
    async fn pieces_end_with_their_sender() {
        let (sender, mut content) = Content::pieces();
        tokio::spawn(async move { sender.send("ab".into()).await });
        let first = content.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "ab");
        assert!(content.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_left_is_noticed() {
        let (sender, content) = Content::pieces();
        drop(content);
        assert!(sender.send(Bytes::new()).await.is_err());
    }
}
