//! Conversations that are no registry's: a request with headers and a body of the caller's
//! own, and bare connections. Knows no credentials but those in the caller's headers.

use std::io::{self, Read, Write};

use crate::cancel::Cancel;
use crate::client::Client;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::http::{Body, Payload, Request, Socket};
use crate::limits::{ERROR, REDIRECTS};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::url::Url;

/// What is asked of a server.
#[derive(Clone, Default)]
pub struct WebRequest<'w> {
    /// Where; no user is in it.
    pub url: &'w str,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// `Authorization`; only the server that is asked first gets to see it.
    pub authorization: Option<&'w str>,
    /// What is sent: then it is a `POST`, which nobody sends elsewhere.
    pub bytes: Option<&'w [u8]>,
}

/// An answer, as it arrives.
pub struct WebAnswer {
    /// Where it came from in the end.
    pub url: String,
    /// `Content-Type`.
    pub kind: String,
    session: Session,
    from: Url,
    body: Body,
}

impl Client {
    /// Asks a server that is no registry.
    ///
    /// # Errors
    /// When the URL is none, its server cannot be reached, or refuses.
    pub fn ask_web(&self, asked: &WebRequest<'_>, cancel: &Cancel) -> Result<WebAnswer> {
        let first = Url::parse(asked.url).ok_or_else(|| Error::Config {
            what: "URL",
            text: asked.url.to_owned(),
            reason: "expected http:// or https://, a host and no user".to_owned(),
        })?;
        let session = self.session(&self.config(), &Credentials::default(), cancel);
        let verb = if asked.bytes.is_some() { "POST" } else { "GET" };
        let mut url = first.clone();
        for _ in 0..=REDIRECTS {
            let payload = asked.bytes.map_or(Payload::None, Payload::Bytes);
            let mut request = Request::new(verb, &url).payload(payload);
            for (name, value) in &asked.headers {
                request = request.header(name, value);
            }
            if let Some(shown) = asked.authorization.filter(|_| url.same_origin(&first)) {
                request = request.header("Authorization", shown);
            }
            let sent = session.send_bare(request);
            let mut response = sent.map_err(|error| session.failed(verb, &url, error))?;
            let status = response.head.status;
            if (200..300).contains(&status) {
                return Ok(WebAnswer {
                    url: url.to_string(),
                    kind: response.head.get("content-type").unwrap_or("").to_owned(),
                    session,
                    from: url,
                    body: response.body,
                });
            }
            let read = response.body.read_up_to(ERROR);
            let (body, _) = read.map_err(|error| session.failed(verb, &url, error))?;
            if verb == "POST" || !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Err(Error::Refused(Refusal::read(status, &body, None)));
            }
            let next = response.head.get("location").and_then(|to| url.join(to));
            url = next.ok_or_else(|| session.wrong(verb, &url, "a redirect to nowhere"))?;
        }
        let reason = format!("stopped after {REDIRECTS} redirects");
        Err(session.wrong(verb, &first, &reason))
    }

    /// Connects to a server that speaks a protocol of its own. Reads and writes end when
    /// they take too long, or when `cancel` is thrown.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn dial(&self, host: &str, port: u16, cancel: &Cancel) -> io::Result<WebStream> {
        let url = Url::of_host(false, &format!("{host}:{port}"));
        let url = url.ok_or_else(|| io::Error::other(format!("{host}:{port} is no address")))?;
        let session = self.session(&self.config(), &Credentials::default(), cancel);
        Socket::connect(&url, BUFFER, session.pool.limits(), cancel).map(WebStream)
    }
}

/// What small reads are gathered in.
const BUFFER: usize = 64 << 10;

impl Read for WebAnswer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer);
        read.map_err(|error| self.session.failed("GET", &self.from, error).into())
    }
}

/// A connection that speaks a protocol of its own.
pub struct WebStream(Socket);

impl Read for WebStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for WebStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Server, config, ok};

    #[test]
    fn credentials_stay_with_the_server_that_was_asked_and_bodies_too() {
        let other = Server::new(|_| ok("other"));
        let host = other.host();
        let server = Server::new(move |seen| match seen.target.as_str() {
            "/here" => Answer::Of(302, vec![("Location", "/there".to_owned())], Vec::new()),
            "/away" => Answer::Of(
                302,
                vec![("Location", format!("http://{host}/x"))],
                Vec::new(),
            ),
            _ => ok("same"),
        });
        let client = Client::new(config()).unwrap();
        let ask = |path: &str, bytes: Option<&[u8]>| {
            let asked = WebRequest {
                url: &format!("http://{}{path}", server.host()),
                authorization: Some("basic secret"),
                bytes,
                ..WebRequest::default()
            };
            client.ask_web(&asked, &Cancel::new())
        };
        let mut text = String::new();
        let mut answer = ask("/here", None).unwrap();
        answer.read_to_string(&mut text).unwrap();
        assert!(answer.url.ends_with("/there"), "{}", answer.url);
        ask("/away", None)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "sameother");
        assert!(ask("/away", Some(b"body")).is_err());
        let shown = |server: &Server| -> Vec<bool> {
            let seen = server.seen();
            seen.iter()
                .map(|seen| seen.header("authorization").is_some())
                .collect()
        };
        assert_eq!(shown(&server), [true, true, true, true]);
        assert_eq!(shown(&other), [false]);
    }
}
