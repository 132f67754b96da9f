//! The end of a connection that calls.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::message_stream::{Incoming, Outgoing, broken};
use crate::status::Status;

/// What may be on the way to us for one call, and for all of them.
const WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// The longest headers of an answer.
const MAX_HEADERS: u32 = 1 << 20;

/// Calls the other end of a connection.
#[derive(Clone)]
pub struct Caller {
    sender: SendRequest<Bytes>,
}

impl Caller {
    /// Begins to speak over a connection: the caller, and what must be awaited for
    /// anything to go on, until the connection ends.
    ///
    /// # Errors
    /// When the other end speaks something else.
    pub async fn new<S>(
        io: S,
    ) -> Result<(Self, impl Future<Output = Result<(), Status>> + use<S>), Status>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADERS)
            .enable_push(false)
            .handshake(io)
            .await
            .map_err(broken)?;
        let ends = async move { connection.await.map_err(broken) };
        Ok((Self { sender }, ends))
    }

    /// Begins a call.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn call(&self, method: &str, metadata: HeaderMap) -> Result<Exchange, Status> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = format!("http://localhost{method}")
            .parse()
            .map_err(|_| Status::internal("a method without a name"))?;
        *request.headers_mut() = metadata;
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        let mut sender = self.sender.clone().ready().await.map_err(broken)?;
        let (response, stream) = sender.send_request(request, false).map_err(broken)?;
        Ok(Exchange {
            outgoing: Outgoing::new(stream),
            answers: Answers {
                answer: Answer::Awaited(response),
            },
        })
    }

    /// A call with one message each way.
    ///
    /// # Errors
    /// The other end's status, and when the connection is gone.
    pub async fn unary(&self, method: &str, message: &[u8]) -> Result<Bytes, Status> {
        let mut exchange = self.call(method, HeaderMap::new()).await?;
        exchange.outgoing.send(message).await?;
        exchange.outgoing.end();
        let answer = exchange.next().await?;
        while exchange.next().await?.is_some() {}
        Ok(answer.unwrap_or_default())
    }
}

/// A call of ours.
pub struct Exchange {
    /// What we say.
    pub outgoing: Outgoing,
    answers: Answers,
}

impl Exchange {
    /// The next message; `None` when the call has ended well.
    ///
    /// # Errors
    /// As [`Answers::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        self.answers.next().await
    }

    /// Both sides, for what goes both ways at the same time.
    pub fn split(self) -> (Outgoing, Answers) {
        (self.outgoing, self.answers)
    }
}

/// What comes back.
pub struct Answers {
    answer: Answer,
}

enum Answer {
    Awaited(ResponseFuture),
    Open(Incoming),
    Ended,
}

impl Answers {
    /// The next message; `None` when the call has ended well.
    ///
    /// # Errors
    /// The status that the other end ended the call with, and when the connection is gone.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            match &mut self.answer {
                Answer::Awaited(response) => {
                    let response = response.await.map_err(broken)?;
                    if response.headers().contains_key("grpc-status") {
                        self.answer = Answer::Ended;
                        Status::check(response.headers())?;
                        return Ok(None);
                    }
                    if response.status() != http::StatusCode::OK {
                        let text = format!("the other end answered {}", response.status());
                        return Err(Status::internal(text));
                    }
                    self.answer = Answer::Open(Incoming::new(response.into_body()));
                }
                Answer::Open(incoming) => {
                    let message = incoming.next().await?;
                    if message.is_none() {
                        let status = incoming.status().await;
                        self.answer = Answer::Ended;
                        status?;
                    }
                    return Ok(message);
                }
                Answer::Ended => return Ok(None),
            }
        }
    }
}
