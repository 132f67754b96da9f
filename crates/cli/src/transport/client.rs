//! The client of one daemon.
//!
//! No round trip is spent on agreeing about a version: the first request is
//! sent with this client's own, and when the daemon answers that it is too new,
//! the request is sent again with the daemon's. Only requests whose body cannot
//! be sent twice ask `_ping` first. Connections are kept for the next requests.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gantry_api::{ApiVersion, ErrorBody};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;

use super::body::{SendBody, full};
use super::call::Call;
use super::connection::{self, Stream};
use crate::error::Error;
use crate::settings::{Endpoint, Settings};

/// An answer that is collected whole may not be larger.
const MAX_ANSWER: usize = 256 << 20;
/// How long a daemon that was just started may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts a daemon that listens on a socket; gives the log to show when it fails.
pub(crate) type Starter = fn(&Path) -> Result<Option<PathBuf>, String>;

/// A daemon and how to talk to it.
pub(crate) struct Client {
    endpoint: Endpoint,
    headers: HeaderMap,
    version: Cell<ApiVersion>,
    /// The version is pinned by the user or agreed with the daemon.
    settled: Cell<bool>,
    /// Whether the daemon has said that it is ours.
    ours: Cell<bool>,
    /// Open connections on which nothing is going on.
    idle: RefCell<Vec<SendRequest<SendBody>>>,
    starter: Option<Starter>,
}

/// A successful answer whose body is still to be read.
pub(crate) struct Answer {
    response: Response<Incoming>,
    sender: SendRequest<SendBody>,
}

/// A connection that became a raw stream.
pub(crate) struct Hijacked {
    pub(crate) stream: TokioIo<Upgraded>,
}

impl Client {
    /// A client of the daemon that `settings` name; `starter` starts one when
    /// nobody listens.
    pub(crate) fn new(settings: &Settings, starter: Option<Starter>) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.config.http_headers {
            let pair = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            );
            if let (Ok(name), Ok(value)) = pair {
                headers.insert(name, value);
            }
        }
        headers.insert(
            http::header::USER_AGENT,
            HeaderValue::from_static(concat!(
                "Gantry-Client/",
                env!("CARGO_PKG_VERSION"),
                " (linux)"
            )),
        );
        Self {
            endpoint: settings.endpoint.clone(),
            headers,
            version: Cell::new(settings.api_version.unwrap_or(ApiVersion::MAX)),
            settled: Cell::new(settings.api_version.is_some()),
            ours: Cell::new(false),
            idle: RefCell::default(),
            starter,
        }
    }

    /// The version that requests are sent with.
    pub(crate) fn version(&self) -> ApiVersion {
        self.version.get()
    }

    /// The version to speak, agreed with the daemon.
    pub(crate) async fn agreed_version(&self) -> Result<ApiVersion, Error> {
        if !self.settled.get() {
            self.ping().await?;
        }
        Ok(self.version.get())
    }

    /// A connection to the daemon for somebody else's requests.
    pub(crate) async fn dial(&self) -> Result<Box<dyn Stream>, Error> {
        connection::dial(&self.endpoint).await
    }

    /// Opens connections that will be needed in a moment, while the daemon works
    /// on what it was asked before.
    pub(crate) async fn warm(&self, count: usize) {
        if !matches!(self.endpoint, Endpoint::Unix(_)) {
            return;
        }
        // The request that is under way goes out first.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..count {
            // Who needs the connection will see why it cannot be had.
            let Ok(sender) = connection::open(&self.endpoint).await else {
                return;
            };
            self.idle.borrow_mut().insert(0, sender);
        }
    }

    /// The endpoint as a URL.
    pub(crate) fn host(&self) -> String {
        self.endpoint.url()
    }

    /// Whether the daemon is ours, and of this machine, as far as its address tells.
    pub(crate) async fn is_near(&self) -> Result<bool, Error> {
        let near = matches!(self.endpoint, Endpoint::Unix(_));
        if near && !self.ours.get() {
            self.ping().await?;
        }
        Ok(near && self.ours.get())
    }

    /// Asks the daemon for its version, and agrees on one.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let request = self.request("/_ping", &Method::HEAD, &[], full(Bytes::new()))?;
        let mut sender = self.connection().await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.broken("_ping", &error))?;
        let api_version = response
            .headers()
            .get("Api-Version")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let server = response.headers().get(http::header::SERVER);
        let server = server.and_then(|value| value.to_str().ok()).unwrap_or("");
        self.ours.set(server.starts_with("Gantry/"));
        self.idle.borrow_mut().push(sender);
        if !self.settled.get() {
            let theirs = api_version.unwrap_or(ApiVersion::MIN);
            self.version.set(theirs.min(ApiVersion::MAX));
            self.settled.set(true);
        }
        Ok(())
    }

    /// Sends a request and collects its answer as text.
    pub(crate) async fn text(&self, call: &Call) -> Result<String, Error> {
        let answer = self.send(call).await?;
        let bytes = self.collect(answer).await?;
        String::from_utf8(bytes.into())
            .map_err(|_| self.broken(&call.path, "the answer is not UTF-8"))
    }

    /// Sends a request and reads its answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        let answer = self.send(call).await?;
        let bytes = self.collect(answer).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.broken(&call.path, &error))
    }

    /// Sends a request whose answer does not matter.
    pub(crate) async fn done(&self, call: &Call) -> Result<(), Error> {
        let answer = self.send(call).await?;
        self.collect(answer).await.map(drop)
    }

    /// Sends a request; an error status is an [`Error::Daemon`].
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let begun = Instant::now();
        loop {
            let body = full(call.json.clone().unwrap_or_default());
            match self.try_send(call, body).await {
                Err(error) if self.downgrade(&error) => {}
                Err(error) if is_starting(&error) && begun.elapsed() < START_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other => return other,
            }
        }
    }

    /// Sends a request with a body that can be read only once.
    pub(crate) async fn send_stream(&self, call: &Call, body: SendBody) -> Result<Answer, Error> {
        if !self.settled.get() {
            self.ping().await?;
        }
        self.try_send(call, body).await
    }

    /// Sends a request and takes its connection over as a raw stream.
    pub(crate) async fn hijack(&self, call: &Call) -> Result<Hijacked, Error> {
        self.upgrade(call, "tcp").await
    }

    /// Sends a request and goes on with another protocol on its connection.
    pub(crate) async fn upgrade(&self, call: &Call, protocol: &str) -> Result<Hijacked, Error> {
        let call = call
            .clone()
            .header("Connection", "Upgrade")
            .header("Upgrade", protocol);
        let answer = match self.send(&call).await {
            Err(Error::Daemon { status, message }) => {
                return Err(Error::Upgrade { status, message });
            }
            other => other?,
        };
        if answer.response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.broken(&call.path, "the daemon did not upgrade the connection"));
        }
        let upgraded = hyper::upgrade::on(answer.response)
            .await
            .map_err(|error| self.broken(&call.path, &error))?;
        Ok(Hijacked {
            stream: TokioIo::new(upgraded),
        })
    }

    /// Reads the rest of an answer, and keeps its connection.
    pub(crate) async fn collect(&self, answer: Answer) -> Result<Bytes, Error> {
        let Answer { response, sender } = answer;
        let limited = http_body_util::Limited::new(response.into_body(), MAX_ANSWER);
        let collected = limited
            .collect()
            .await
            .map_err(|error| self.broken("reading the answer", &error))?;
        self.idle.borrow_mut().push(sender);
        Ok(collected.to_bytes())
    }

    async fn connection(&self) -> Result<SendRequest<SendBody>, Error> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let Some(mut sender) = idle else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        match connection::open(&self.endpoint).await {
            Err(Error::Unreachable { host }) => self.start_daemon(host).await,
            other => other,
        }
    }

    fn request(
        &self,
        path: &str,
        method: &Method,
        headers: &[(&'static str, String)],
        body: SendBody,
    ) -> Result<Request<SendBody>, Error> {
        let (authority, base) = match &self.endpoint {
            Endpoint::Unix(_) => ("api.moby.localhost".to_owned(), ""),
            Endpoint::Tcp {
                host, port, base, ..
            } => (format!("{host}:{port}"), base.as_str()),
        };
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{base}{path}"));
        if let Some(map) = request.headers_mut() {
            map.extend(self.headers.clone());
        }
        request = request.header(http::header::HOST, authority);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request
            .body(body)
            .map_err(|error| Error::message(format!("invalid request for {path}: {error}")))
    }

    async fn try_send(&self, call: &Call, body: SendBody) -> Result<Answer, Error> {
        let question = if call.query.is_empty() { "" } else { "?" };
        let path = format!(
            "/v{}{}{question}{}",
            self.version.get(),
            call.path,
            call.query
        );
        let mut headers = call.headers.clone();
        if call.json.is_some() {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        let request = self.request(&path, &call.method, &headers, body)?;
        let mut sender = self.connection().await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(&call.path, &error))?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let reason = status.canonical_reason().unwrap_or("unknown status");
            let bytes = self.collect(Answer { response, sender }).await?;
            let message = match serde_json::from_slice::<ErrorBody>(&bytes) {
                Ok(body) if !body.message.is_empty() => body.message.trim().to_owned(),
                _ if bytes.is_empty() => format!(
                    "request returned {reason} for API route and version {}{path}, check if the server supports the requested API version",
                    self.host()
                ),
                _ => String::from_utf8_lossy(&bytes).trim().to_owned(),
            };
            return Err(Error::Daemon {
                status: status.as_u16(),
                message,
            });
        }
        self.settled.set(true);
        Ok(Answer { response, sender })
    }

    /// Takes the daemon's version when it says that ours is too new.
    fn downgrade(&self, error: &Error) -> bool {
        let Error::Daemon {
            status: 400,
            message,
        } = error
        else {
            return false;
        };
        if self.settled.get() || !message.contains("is too new") {
            return false;
        }
        let theirs = message
            .rsplit_once("API version is ")
            .and_then(|(_, text)| text.trim().trim_end_matches('.').parse::<ApiVersion>().ok());
        self.settled.set(true);
        match theirs {
            Some(version) if version < self.version.get() => {
                self.version.set(version);
                true
            }
            _ => false,
        }
    }

    fn broken(&self, operation: &str, reason: &(impl std::fmt::Display + ?Sized)) -> Error {
        Error::Transport {
            operation: format!("{} at {}", operation, self.host()),
            reason: reason.to_string(),
        }
    }

    /// Starts a daemon and waits until it answers.
    async fn start_daemon(&self, host: String) -> Result<SendRequest<SendBody>, Error> {
        let (Some(starter), Endpoint::Unix(socket)) = (self.starter, &self.endpoint) else {
            return Err(Error::Unreachable { host });
        };
        let log = starter(socket).map_err(|reason| {
            Error::message(format!("cannot start a daemon on {host}: {reason}"))
        })?;
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        while begun.elapsed() < START_TIMEOUT {
            if let Some(sender) = self.answers().await {
                return Ok(sender);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        Err(Error::message(format!(
            "a daemon was started on {host}, but did not answer within {} seconds{}",
            START_TIMEOUT.as_secs(),
            log.map(|path| tail(&path)).unwrap_or_default()
        )))
    }

    /// A connection to a daemon that is ready to work: `_ping` is answered
    /// earlier than that.
    async fn answers(&self) -> Option<SendRequest<SendBody>> {
        let mut sender = connection::open(&self.endpoint).await.ok()?;
        let request = self
            .request("/version", &Method::GET, &[], full(Bytes::new()))
            .ok()?;
        let response = sender.send_request(request).await.ok()?;
        let ready = response.status().is_success();
        response.into_body().collect().await.ok()?;
        (ready && sender.ready().await.is_ok()).then_some(sender)
    }
}

/// Whether a daemon of ours listens already, but still opens its data.
fn is_starting(error: &Error) -> bool {
    matches!(error, Error::Daemon { status: 503, message } if message.contains("starting and not ready yet"))
}

/// The last lines of a log, to be appended to a message.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(10);
    format!(
        "; the end of {}:\n{}",
        path.display(),
        lines[from..].join("\n")
    )
}

impl Answer {
    /// A header; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.response.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.response.body_mut().frame().await {
            let frame = frame.map_err(|error| Error::Transport {
                operation: "reading the answer".to_owned(),
                reason: error.to_string(),
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
