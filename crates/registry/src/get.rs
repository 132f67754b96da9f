//! A file from the web, for `import URL`: no registry, no credentials.

use std::io::{self, Read};

use crate::cancel::Cancel;
use crate::client::Client;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::http::Body;
use crate::session::{Ask, Session};
use crate::url::Url;

/// The bytes of a file, as they arrive.
pub struct Download {
    session: Session,
    url: Url,
    body: Body,
    modified: Option<String>,
}

impl Download {
    /// When it was changed last, as its server says it.
    pub fn modified(&self) -> Option<&str> {
        self.modified.as_deref()
    }
}

impl Client {
    /// Starts to get a file; a URL without a scheme is one of `http`.
    ///
    /// # Errors
    /// When the URL is none, its server cannot be reached, or has no such file.
    pub fn get(&self, url: &str, cancel: &Cancel) -> Result<Download> {
        let full = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let parsed = Url::parse(&full).ok_or_else(|| Error::Config {
            what: "URL",
            text: url.to_owned(),
            reason: "expected http:// or https://, a host and no user".to_owned(),
        })?;
        let config = self.config();
        let session = self.session(&config, &Credentials::default(), cancel);
        match session.ask_once(&Ask::new("GET", parsed.clone())) {
            Ok(response) => Ok(Download {
                session,
                url: parsed,
                modified: response.head.get("last-modified").map(str::to_owned),
                body: response.body,
            }),
            Err(Error::Refused(refusal)) => {
                let reason = format!("Got HTTP status code {}", refusal.status_line());
                Err(session.wrong("GET", &parsed, &reason))
            }
            Err(error) => Err(error),
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer);
        read.map_err(|error| self.session.failed("GET", &self.url, error).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Server, config, ok, status};

    #[test]
    fn files_are_fetched_through_redirects() {
        let server = Server::new(|seen| match seen.target.as_str() {
            "/a/file" => Answer::Of(302, vec![("Location", "other?x".to_owned())], Vec::new()),
            "/a/other?x" => ok("hello"),
            "/cut" => Answer::Cut(200, Vec::new(), 9, b"hello".into()),
            _ => status(404),
        });
        let client = Client::new(config()).unwrap();
        let get = |path: &str| client.get(&format!("{}{path}", server.host()), &Cancel::new());
        let mut text = String::new();
        get("/a/file").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        let error = get("/b").err().unwrap().to_string();
        assert!(
            error.ends_with("/b\": Got HTTP status code 404 Not Found"),
            "{error}"
        );
        let error = get("/cut").unwrap().read_to_string(&mut text).unwrap_err();
        assert!(
            error.to_string().ends_with("/cut\": unexpected EOF"),
            "{error}"
        );
        assert!(client.get("ftp://x/y", &Cancel::new()).is_err());
    }
}
