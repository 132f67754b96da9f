//! A conversation with the servers of one repository: redirects, refusals,
//! authentication, and another try where that may help.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::http::{Head, Payload, Pool, Request, Response, SourceFailed};
use crate::limits::{self, ERROR, REDIRECTS};
use crate::refusal::Refusal;
use crate::url::Url;

/// How often a short request is tried.
const TRIES: u32 = 3;

/// Shared by all that is done on a repository.
pub(crate) struct Session {
    pub(crate) pool: Arc<Pool>,
    /// How often a long transfer that gets nowhere is begun.
    pub(crate) attempts: u32,
}

/// A request with all that is needed to send it anew.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) verb: &'static str,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) bytes: Option<&'a [u8]>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(verb: &'static str, url: Url) -> Self {
        Self {
            verb,
            url,
            headers: Vec::new(),
            bytes: None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn bytes(mut self, bytes: &'a [u8]) -> Self {
        self.bytes = Some(bytes);
        self
    }
}

impl Session {
    pub(crate) fn cancel(&self) -> &Cancel {
        self.pool.cancel()
    }

    /// Sends a request; again where an answer may be another one then.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Response> {
        let mut failures = 0;
        loop {
            match self.ask_once(ask) {
                Err(error) if error.is_passing() => {
                    failures += 1;
                    self.pause(error, failures, TRIES)?;
                }
                other => return other,
            }
        }
    }

    /// Sends a request once, and where its answer points to.
    pub(crate) fn ask_once(&self, ask: &Ask<'_>) -> Result<Response> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = Request::new(ask.verb, &url);
            for (name, value) in &ask.headers {
                request = request.header(name, value);
            }
            if let Some(bytes) = ask.bytes {
                request = request.payload(Payload::Bytes(bytes));
            }
            let response = self.pool.send(request);
            let response = response.map_err(|error| self.failed(ask.verb, &url, error))?;
            let moved = matches!(response.head.status, 301 | 302 | 303 | 307 | 308);
            if !moved || !matches!(ask.verb, "GET" | "HEAD") {
                return self.accept(response);
            }
            let next = response.head.get("location").and_then(|to| url.join(to));
            url = next.ok_or_else(|| self.wrong(ask.verb, &url, "a redirect to nowhere"))?;
        }
        let reason = format!("stopped after {REDIRECTS} redirects");
        Err(self.wrong(ask.verb, &ask.url, &reason))
    }

    /// Sends `length` bytes of a source, once, and not elsewhere.
    pub(crate) fn send_stream(
        &self,
        ask: &Ask<'_>,
        length: u64,
        source: &mut dyn io::Read,
    ) -> Result<Response> {
        let mut request = Request::new(ask.verb, &ask.url);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let request = request.payload(Payload::Stream { length, source });
        let response = self.pool.send(request);
        self.accept(response.map_err(|error| self.failed(ask.verb, &ask.url, error))?)
    }

    /// An answer that is none of an error.
    fn accept(&self, mut response: Response) -> Result<Response> {
        let status = response.head.status;
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let wait = retry_after(&response.head);
        // What could not be read of an error's text does not change the error.
        let body = response.body.read_up_to(ERROR).map(|(bytes, _)| bytes);
        Err(Error::Refused(Refusal::read(
            status,
            &body.unwrap_or_default(),
            wait,
        )))
    }

    /// The error of a request that came to nothing.
    pub(crate) fn failed(&self, verb: &str, url: &Url, error: io::Error) -> Error {
        if self.cancel().is_cancelled() {
            return Error::Cancelled;
        }
        match error.downcast::<SourceFailed>() {
            Ok(source) => Error::Source(source.0),
            Err(error) => self.wrong(verb, url, &error.to_string()),
        }
    }

    pub(crate) fn wrong(&self, verb: &str, url: &Url, reason: &str) -> Error {
        Error::Request {
            verb: named(verb),
            url: url.to_string(),
            reason: reason.to_owned(),
        }
    }

    /// A whole short body.
    pub(crate) fn whole(&self, url: &Url, what: &str, response: &mut Response) -> Result<Vec<u8>> {
        let limit = limits::DOCUMENT;
        let read = response.body.read_up_to(limit);
        match read.map_err(|error| self.failed("GET", url, error))? {
            (bytes, true) => Ok(bytes),
            (_, false) => Err(Error::TooLong {
                what: what.to_owned(),
                limit,
            }),
        }
    }

    /// Waits before something is tried again that has failed so often.
    ///
    /// # Errors
    /// With `error` itself when that was often enough, or when the server wants us to
    /// wait for too long.
    pub(crate) fn pause(&self, error: Error, failures: u32, most: u32) -> Result<()> {
        let limits = self.pool.limits();
        let asked = match &error {
            Error::Refused(refusal) => refusal.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        if failures >= most || asked > limits.longest_pause {
            return Err(error);
        }
        let pause = limits.pause * 2u32.pow(failures.saturating_sub(1).min(10));
        let half = pause.min(limits.longest_pause) / 2;
        // Between half and all of it, so that those who failed together do not come back so.
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), failures);
        let pause = half + half.mul_f64((random % 1024) as f64 / 1024.0);
        match self.cancel().sleep(asked.max(pause)) {
            true => Ok(()),
            false => Err(Error::Cancelled),
        }
    }
}

/// A method as Docker's errors begin with it.
fn named(verb: &str) -> &'static str {
    match verb {
        "HEAD" => "Head",
        "POST" => "Post",
        "PUT" => "Put",
        "PATCH" => "Patch",
        "DELETE" => "Delete",
        _ => "Get",
    }
}

/// `Retry-After` in seconds. Dates are not used by registries, and need a clock
/// that both sides agree on.
fn retry_after(head: &Head) -> Option<Duration> {
    let seconds = head.get("retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
