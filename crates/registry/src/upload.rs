//! Sending a blob: one request with all of it; what is cut off goes on with a
//! `PATCH` where the registry says that it stopped.

use std::io::{self, Read};

use gantry_types::Digest;

use crate::endpoint::PUSH;
use crate::error::{Error, Result};
use crate::http::Response;
use crate::repository::Repository;
use crate::session::Ask;
use crate::url::Url;

/// Opens what is to be sent, from an offset on; more than once where it must be.
pub type Source<'a> = dyn Fn(u64) -> io::Result<Box<dyn Read + 'a>> + 'a;

/// An upload that has got so much further begins to count its failures anew.
const PROGRESS: u64 = 1 << 20;

/// An upload that the registry knows.
struct Begun {
    location: Url,
    /// How much it has.
    offset: u64,
}

impl Repository {
    /// Takes a blob over from another repository of the same registry. Answers
    /// whether that worked; if not, it has to be sent.
    ///
    /// # Errors
    /// When the registry could not be asked.
    pub fn mount(&self, digest: Digest, from: &str) -> Result<bool> {
        let mut ask = self.to_upload("POST", None)?;
        let url = ask.url.with_parameter("mount", &digest.to_string());
        ask.url = url.with_parameter("from", from);
        if let Some(access) = &mut ask.access {
            access.scopes.push(format!("repository:{from}:pull"));
        }
        let response = self.session().ask(&ask)?;
        if response.head.status == 201 {
            return Ok(true);
        }
        // It has begun an upload instead. One that is not ended lies about for days.
        if let Ok(location) = self.location(&ask.url, &response) {
            let end = self.to_upload("DELETE", Some(location))?;
            drop(self.session().ask_once(&end));
        }
        Ok(false)
    }

    /// Sends a blob of a known digest and size.
    ///
    /// # Errors
    /// With the registry's words when it is refused, and when the source fails.
    pub fn upload(&self, digest: Digest, size: u64, source: &Source<'_>) -> Result<()> {
        let mut begun: Option<Begun> = None;
        let (mut failures, mut failed_at) = (0, 0);
        loop {
            let error = match self.send(&mut begun, digest, size, source) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let stale =
                matches!(&error, Error::Refused(refusal) if matches!(refusal.status, 404 | 416));
            if !(error.is_passing() || stale && begun.is_some()) {
                return Err(error);
            }
            failures += 1;
            self.session()
                .pause(error, failures, self.session().attempts)?;
            begun = self.state(begun)?;
            match &begun {
                // What was sent last may have been taken, and only its answer was lost.
                None if self.head_blob(digest)? == Some(size) => return Ok(()),
                Some(begun) if begun.offset >= failed_at + PROGRESS => {
                    failed_at = begun.offset;
                    failures = 0;
                }
                _ => {}
            }
        }
    }

    fn send(
        &self,
        begun: &mut Option<Begun>,
        digest: Digest,
        size: u64,
        source: &Source<'_>,
    ) -> Result<()> {
        let Begun { location, offset } = match begun {
            Some(begun) => begun,
            None => begun.insert(self.begin()?),
        };
        if *offset == 0 {
            let url = location.with_parameter("digest", &digest.to_string());
            let mut all = source(0).map_err(Error::Source)?;
            return self.stream("PUT", url, None, size, &mut *all).map(drop);
        }
        if *offset < size {
            let range = format!("{offset}-{}", size - 1);
            let mut rest = source(*offset).map_err(Error::Source)?;
            let response = self.stream(
                "PATCH",
                location.clone(),
                Some(range),
                size - *offset,
                &mut *rest,
            )?;
            *location = self.location(location, &response)?;
            *offset = size;
        }
        let end = location.with_parameter("digest", &digest.to_string());
        let end = self.to_upload("PUT", Some(end))?;
        self.session().ask_once(&end).map(drop)
    }

    fn begin(&self) -> Result<Begun> {
        let ask = self.to_upload("POST", None)?;
        let response = self.session().ask(&ask)?;
        Ok(Begun {
            location: self.location(&ask.url, &response)?,
            offset: 0,
        })
    }

    /// How far an upload has got that was cut off; nothing when it has to begin anew.
    fn state(&self, begun: Option<Begun>) -> Result<Option<Begun>> {
        let Some(Begun { location, .. }) = begun else {
            return Ok(None);
        };
        let ask = self.to_upload("GET", Some(location.clone()))?;
        match self.session().ask(&ask) {
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(_) => Ok(None),
            Ok(response) => {
                let last = response
                    .head
                    .get("range")
                    .and_then(|range| range.rsplit('-').next());
                let last: u64 = last.and_then(|last| last.trim().parse().ok()).unwrap_or(0);
                let location = self.location(&location, &response).unwrap_or(location);
                // `0-0` is both nothing and one byte: the latter is sent again.
                let offset = if last == 0 { 0 } else { last + 1 };
                Ok(Some(Begun { location, offset }))
            }
        }
    }

    fn stream(
        &self,
        verb: &'static str,
        url: Url,
        range: Option<String>,
        length: u64,
        source: &mut dyn Read,
    ) -> Result<Response> {
        let ask = self.to_upload(verb, Some(url))?;
        let mut ask = ask.header("Content-Type", "application/octet-stream");
        if let Some(range) = range {
            ask = ask.header("Content-Range", range);
        }
        self.session().send_stream(&ask, length, source)
    }

    /// A request that belongs to an upload: its beginning, or where the server wants it.
    fn to_upload(&self, verb: &'static str, url: Option<Url>) -> Result<Ask<'static>> {
        let mut ask = self
            .origin()?
            .ask(self.session(), verb, "blobs/uploads/", PUSH)?;
        ask.url = url.unwrap_or(ask.url);
        Ok(ask)
    }

    fn location(&self, url: &Url, response: &Response) -> Result<Url> {
        let location = response.head.get("location").and_then(|to| url.join(to));
        location.ok_or_else(|| self.session().wrong("POST", url, "no place for the upload"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Seen, Server, status};

    const BYTES: &[u8] = b"0123456789";

    fn at(location: &str) -> Answer {
        Answer::Of(202, vec![("Location", location.to_owned())], Vec::new())
    }

    fn gone() -> Answer {
        Answer::Raw(Vec::new())
    }

    /// Uploads, and tells what was asked for.
    fn upload(
        answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static,
    ) -> (Result<()>, Vec<String>) {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let server = Server::new(move |seen| {
            answer(
                seen,
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            )
        });
        let source = |offset: u64| {
            let rest = &BYTES[usize::try_from(offset).unwrap()..];
            Ok(Box::new(rest) as Box<dyn Read>)
        };
        let size = BYTES.len() as u64;
        let outcome = server.repository().upload(Digest::of(BYTES), size, &source);
        let lines = server.seen().into_iter().map(|seen| {
            let body = String::from_utf8(seen.body).unwrap();
            let target = seen.target.split("sha256").next().unwrap_or_default();
            format!(
                "{} {} {body}",
                seen.verb,
                target.trim_start_matches("/v2/team/app/")
            )
        });
        (outcome, lines.collect())
    }

    #[test]
    fn blobs_are_sent_at_once() {
        let (outcome, lines) = upload(|seen, _| match seen.verb.as_str() {
            "POST" => at("/u?s=1"),
            _ => status(201),
        });
        outcome.unwrap();
        assert_eq!(
            lines,
            ["POST blobs/uploads/ ", "PUT /u?s=1&digest= 0123456789"]
        );
    }

    #[test]
    fn what_is_cut_off_goes_on() {
        let (outcome, lines) = upload(|seen, count| match (seen.verb.as_str(), count) {
            ("POST", _) => at("/u/1"),
            ("GET", _) => Answer::Of(
                204,
                vec![("Range", "0-3".to_owned()), ("Location", "/u/2".to_owned())],
                Vec::new(),
            ),
            ("PATCH", _) => at("/u/3"),
            (_, 1) => gone(),
            _ => status(201),
        });
        outcome.unwrap();
        assert_eq!(
            lines,
            [
                "POST blobs/uploads/ ",
                "PUT /u/1?digest= 0123456789",
                "GET /u/1 ",
                "PATCH /u/2 456789",
                "PUT /u/3?digest= ",
            ]
        );
    }

    #[test]
    fn an_answer_that_was_lost_is_no_failure() {
        let (outcome, lines) = upload(|seen, _| match seen.verb.as_str() {
            "POST" => at("/u/1"),
            "PUT" => gone(),
            "HEAD" => Answer::Of(200, Vec::new(), BYTES.into()),
            _ => status(404),
        });
        outcome.unwrap();
        assert_eq!(lines.len(), 4, "{lines:?}");
    }

    #[test]
    fn an_upload_that_the_registry_has_forgotten_begins_anew() {
        let (outcome, lines) = upload(|seen, count| match seen.verb.as_str() {
            "POST" => at("/u/1"),
            "PUT" if count > 3 => status(201),
            _ => status(404),
        });
        outcome.unwrap();
        let verbs: Vec<_> = lines
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(verbs, ["POST", "PUT", "GET", "HEAD", "POST", "PUT"]);
    }

    #[test]
    fn what_leads_nowhere_ends() {
        let (outcome, lines) = upload(|seen, _| match seen.verb.as_str() {
            "POST" => at("/u/1"),
            "PUT" => gone(),
            _ => status(404),
        });
        assert!(matches!(outcome, Err(Error::Request { .. })));
        assert_eq!(
            lines.iter().filter(|line| line.starts_with("PUT")).count(),
            5
        );
        let (outcome, lines) = upload(|seen, _| match seen.verb.as_str() {
            "POST" => at("/u/1"),
            _ => Answer::Of(
                400,
                Vec::new(),
                br#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#.into(),
            ),
        });
        assert_eq!(outcome.unwrap_err().to_string(), "digest invalid: no");
        assert_eq!(lines.len(), 2);
        let (outcome, _) = upload(|_, _| status(202));
        assert!(
            outcome
                .unwrap_err()
                .to_string()
                .ends_with("no place for the upload")
        );
    }

    #[test]
    fn a_source_that_fails_is_no_failure_of_the_registry() {
        let server = Server::new(|_| at("/u/1"));
        let source = |_| Ok(Box::new(&b"short"[..]) as Box<dyn Read>);
        let outcome = server.repository().upload(Digest::of(BYTES), 10, &source);
        assert!(matches!(outcome, Err(Error::Source(_))));
        assert_eq!(server.lines().len(), 1);
    }

    #[test]
    fn mounts_that_are_not_made_leave_no_upload() {
        let server = Server::new(|seen| match seen.target.ends_with("from=a%2Fb") {
            true => status(201),
            false => at("/u/1"),
        });
        let repository = server.repository();
        assert!(repository.mount(Digest::of(BYTES), "a/b").unwrap());
        assert!(!repository.mount(Digest::of(BYTES), "c").unwrap());
        assert_eq!(server.lines().last().unwrap(), "DELETE /u/1");
    }
}
