//! A conversation with the servers of one repository: redirects, refusals,
//! authentication, and another try where that may help.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Access, Doors, Tokens};
use crate::cancel::Cancel;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::http::{Head, Payload, Pool, Request, Response, SourceFailed};
use crate::limits::{self, ERROR, REDIRECTS};
use crate::refusal::Refusal;
use crate::url::Url;

/// How often a short request is tried.
const TRIES: u32 = 3;

/// Shared by all that is done on a repository.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) pool: Arc<Pool>,
    pub(crate) credentials: Credentials,
    pub(crate) doors: Arc<Doors>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) cancel: Cancel,
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
    /// Who may see who we are.
    pub(crate) access: Option<Access>,
    /// Not sent elsewhere, whatever the answer says.
    stays: bool,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(verb: &'static str, url: Url) -> Self {
        Self {
            verb,
            url,
            headers: Vec::new(),
            bytes: None,
            access: None,
            stays: !matches!(verb, "GET" | "HEAD"),
        }
    }

    /// Whether it is part of a push.
    fn writes(&self) -> bool {
        let scopes = self
            .access
            .as_ref()
            .and_then(|access| access.scopes.first());
        scopes.is_some_and(|scope| !scope.ends_with(":pull"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    pub(crate) fn stays(mut self) -> Self {
        self.stays = true;
        self
    }

    pub(crate) fn bytes(mut self, bytes: &'a [u8]) -> Self {
        self.bytes = Some(bytes);
        self
    }
}

impl Session {
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
            let mut response = self.let_in(ask, &url)?;
            let moved = matches!(response.head.status, 301 | 302 | 303 | 307 | 308);
            if !moved || ask.stays {
                return self.accept(response);
            }
            // Read to its end, so that the connection is good for the next request.
            let read = response.body.read_up_to(ERROR);
            read.map_err(|error| self.failed(ask.verb, &url, error))?;
            let next = response.head.get("location").and_then(|to| url.join(to));
            url = next.ok_or_else(|| self.wrong(ask.verb, &url, "a redirect to nowhere"))?;
        }
        let reason = format!("stopped after {REDIRECTS} redirects");
        Err(self.wrong(ask.verb, &ask.url, &reason))
    }

    /// Sends a request to where we are now; once more when that wants to know who
    /// we are.
    fn let_in(&self, ask: &Ask<'_>, url: &Url) -> Result<Response> {
        for again in [false, true] {
            let shown = self.shown(ask, url)?;
            let payload = ask.bytes.map_or(Payload::None, Payload::Bytes);
            let mut response = self.send(ask, url, shown.as_deref(), payload)?;
            let access = ask
                .access
                .as_ref()
                .filter(|access| access.root.same_origin(url));
            let (401, false, Some(access)) = (response.head.status, again, access) else {
                return Ok(response);
            };
            if !self.not_let_in(access, &response.head, shown.as_deref()) {
                return Ok(response);
            }
            let read = response.body.read_up_to(ERROR);
            read.map_err(|error| self.failed(ask.verb, url, error))?;
        }
        Err(self.wrong(ask.verb, url, "authentication required"))
    }

    /// The credentials that a server gets to see.
    fn shown(&self, ask: &Ask<'_>, url: &Url) -> Result<Option<String>> {
        let access = ask
            .access
            .as_ref()
            .filter(|access| access.root.same_origin(url));
        let Some(access) = access else {
            return Ok(None);
        };
        let shown = self.authorization(access);
        shown.map_err(|error| self.explained(ask, url, error))
    }

    /// An error of the token server, told as one of the request that needs the token.
    pub(crate) fn explained(&self, ask: &Ask<'_>, url: &Url, error: Error) -> Error {
        let (verb, url) = (named(ask.verb), url.to_string());
        match error {
            Error::NoCredentials { .. } if !ask.writes() => Error::NoCredentials {
                request: format!("{verb} \"{url}\": "),
            },
            Error::Refused(refusal) if matches!(refusal.status, 400 | 401 | 403) => {
                Error::Unauthorized {
                    verb,
                    url,
                    reason: refusal.to_string(),
                }
            }
            _ => error,
        }
    }

    fn send(
        &self,
        ask: &Ask<'_>,
        url: &Url,
        shown: Option<&str>,
        payload: Payload<'_>,
    ) -> Result<Response> {
        let mut request = Request::new(ask.verb, url).payload(payload);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(shown) = shown {
            request = request.header("Authorization", shown);
        }
        self.pool
            .send(request, &self.cancel)
            .map_err(|error| self.failed(ask.verb, url, error))
    }

    /// Sends a request as it is.
    pub(crate) fn send_bare(&self, request: Request<'_, '_>) -> io::Result<Response> {
        self.pool.send(request, &self.cancel)
    }

    /// Sends `length` bytes of a source, once, and not elsewhere.
    pub(crate) fn send_stream(
        &self,
        ask: &Ask<'_>,
        length: u64,
        source: &mut dyn io::Read,
    ) -> Result<Response> {
        let shown = self.shown(ask, &ask.url)?;
        let payload = Payload::Stream { length, source };
        let response = self.send(ask, &ask.url, shown.as_deref(), payload)?;
        match &ask.access {
            // The source is used up: whoever has it begins anew, with what we know now.
            Some(access)
                if response.head.status == 401
                    && access.root.same_origin(&ask.url)
                    && self.not_let_in(access, &response.head, shown.as_deref()) =>
            {
                Err(self.wrong(ask.verb, &ask.url, "unauthorized: authentication required"))
            }
            _ => self.accept(response),
        }
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
        if self.cancel.is_cancelled() {
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
        match self.cancel.sleep(asked.max(pause)) {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::testing::{Answer, Server, ok, status};

    #[test]
    fn what_passes_is_asked_for_again() {
        for code in [408, 429, 500, 503] {
            let count = AtomicUsize::new(0);
            let server = Server::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => status(code),
                _ => ok("{}"),
            });
            server.repository().resolve("1").unwrap();
            assert_eq!(server.seen().len(), 3);
        }
        let server = Server::new(|_| status(400));
        let error = server.repository().resolve("1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "received unexpected HTTP status: 400 Bad Request"
        );
        assert_eq!(server.seen().len(), 1);
    }

    #[test]
    fn servers_say_how_long_to_wait() {
        let limited = |seconds: &str| {
            Answer::Of(
                429,
                vec![("Retry-After", seconds.to_owned())],
                br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#.into(),
            )
        };
        let server = Server::new(move |_| limited("3600"));
        let error = server.repository().resolve("1").unwrap_err();
        assert_eq!(error.to_string(), "toomanyrequests: slow down");
        assert_eq!(server.seen().len(), 1);
        let count = AtomicUsize::new(0);
        let server = Server::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 => limited("1"),
            _ => ok("{}"),
        });
        let begun = std::time::Instant::now();
        server.repository().resolve("1").unwrap();
        assert!(begun.elapsed().as_secs() >= 1);
    }

    #[test]
    fn a_connection_that_was_closed_while_idle_is_no_failure() {
        let server =
            Server::new(|_| Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".into()));
        let repository = server.repository();
        for _ in 0..3 {
            repository.resolve("1").unwrap();
        }
        assert_eq!(server.seen().len(), 3);
    }
}
