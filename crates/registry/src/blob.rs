//! Reading a blob: what is cut off goes on where it stopped, from the same server
//! or from the next one. Never more bytes than were asked for; whether they are
//! the right ones is for the reader to check.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use gantry_types::Digest;

use crate::endpoint::PULL;
use crate::error::{Error, Result};
use crate::http::{Body, Response};
use crate::repository::Repository;
use crate::url::Url;

/// A transfer that has got so much further begins to count its failures anew.
const PROGRESS: u64 = 1 << 20;
/// A server that sends less while it might have stalled twice has stalled.
const LEAST: u64 = 4 << 10;

/// The bytes of a blob, as they arrive.
pub struct Blob {
    repository: Repository,
    digest: Digest,
    size: u64,
    position: u64,
    /// The endpoint that is read from.
    endpoint: usize,
    /// Failures at it, and where the last one was.
    failures: u32,
    failed_at: u64,
    body: Option<(Url, Body)>,
    /// How long we have waited for what came since which place.
    waited: (Duration, u64),
}

impl Blob {
    pub(crate) fn open(
        repository: &Repository,
        digest: Digest,
        size: u64,
        offset: u64,
        endpoint: usize,
    ) -> Result<Self> {
        let mut blob = Self {
            repository: repository.clone(),
            digest,
            size,
            position: offset.min(size),
            endpoint,
            failures: 0,
            failed_at: 0,
            body: None,
            waited: (Duration::ZERO, 0),
        };
        if blob.position < size {
            blob.connect()?;
        }
        Ok(blob)
    }

    /// Where the next byte is in the blob.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The number of the server that sends it, in the order in which they are asked.
    pub fn server(&self) -> usize {
        self.endpoint
    }

    /// Who sends it.
    pub fn from(&self) -> String {
        self.repository
            .0
            .endpoints
            .get(self.endpoint)
            .map(|one| one.name())
            .unwrap_or_default()
    }

    /// Finds a server that sends what is missing.
    fn connect(&mut self) -> Result<()> {
        loop {
            match self.request() {
                Ok(body) => {
                    self.body = Some(body);
                    self.waited = (Duration::ZERO, self.position);
                    return Ok(());
                }
                Err(error) => self.failed(error)?,
            }
        }
    }

    /// Waits before the same server is asked again, or turns to the next one.
    ///
    /// # Errors
    /// With `error`, when there is no next one.
    fn failed(&mut self, error: Error) -> Result<()> {
        self.body = None;
        if matches!(error, Error::Cancelled) {
            return Err(error);
        }
        if self.position >= self.failed_at + PROGRESS {
            self.failures = 0;
        }
        self.failed_at = self.position;
        self.failures += 1;
        let session = self.repository.session();
        let most = if error.is_passing() {
            session.attempts
        } else {
            0
        };
        let error = match session.pause(error, self.failures, most) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if matches!(error, Error::Cancelled)
            || self.endpoint + 1 >= self.repository.0.endpoints.len()
        {
            return Err(error);
        }
        tracing::debug!(server = self.from(), %error, digest = %self.digest, "turning to the next server");
        self.endpoint += 1;
        self.failures = 0;
        Ok(())
    }

    fn request(&self) -> Result<(Url, Body)> {
        let session = self.repository.session();
        let Some(endpoint) = self.repository.0.endpoints.get(self.endpoint) else {
            return Err(Error::BlobUnknown(self.digest));
        };
        let mut ask = endpoint.ask(session, "GET", &format!("blobs/{}", self.digest), PULL)?;
        let url = ask.url.clone();
        if self.position > 0 {
            ask = ask.header("Range", format!("bytes={}-", self.position));
        }
        let mut response = match session.ask_once(&ask) {
            Err(Error::Refused(refusal)) if refusal.status == 404 => {
                return Err(Error::BlobUnknown(self.digest));
            }
            other => other?,
        };
        self.check(&url, &response)?;
        if response.head.status != 206 && self.position > 0 {
            // A server that knows no ranges: what we have is read again, and dropped.
            let skipped = io::copy(
                &mut (&mut response.body).take(self.position),
                &mut io::sink(),
            );
            let skipped = skipped.map_err(|error| session.failed("GET", &url, error))?;
            if skipped < self.position {
                return Err(session.wrong("GET", &url, "unexpected EOF"));
            }
        }
        Ok((url, response.body))
    }

    /// Compares what the head announces with what was asked for.
    fn check(&self, url: &Url, response: &Response) -> Result<()> {
        let wrong_size = |found| Error::WrongSize {
            what: format!("blob {}", self.digest),
            expected: self.size,
            found,
        };
        let (start, found) = match response.head.status {
            206 => {
                let range = response.head.get("content-range").and_then(range);
                let wrong = || self.repository.session().wrong("GET", url, "a wrong range");
                range.ok_or_else(wrong)?
            }
            _ => (self.position, response.head.length().ok().flatten()),
        };
        if start != self.position {
            return Err(self.repository.session().wrong("GET", url, "a wrong range"));
        }
        match found {
            Some(found) if found != self.size => Err(wrong_size(found)),
            _ => Ok(()),
        }
    }

    /// Whether the server sends a byte now and then, only not to stall. Whoever reads
    /// may take its time.
    fn is_too_slow(&mut self) -> bool {
        if self.waited.0 < self.repository.session().pool.limits().stall * 2 {
            return false;
        }
        let came = self.position - self.waited.1;
        self.waited = (Duration::ZERO, self.position);
        came < LEAST
    }

    /// All has come: nothing more may.
    fn finish(&mut self) -> Result<()> {
        if let Some((_, mut body)) = self.body.take()
            && body.read(&mut [0]).is_ok_and(|more| more > 0)
        {
            return Err(Error::WrongSize {
                what: format!("blob {}", self.digest),
                expected: self.size,
                found: self.size + 1,
            });
        }
        Ok(())
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        if most == 0 {
            if left == 0 {
                self.finish()?;
            }
            return Ok(0);
        }
        loop {
            let too_slow = self.is_too_slow();
            let Some((url, body)) = &mut self.body else {
                self.connect()?;
                continue;
            };
            if too_slow {
                let error = self.repository.session().wrong("GET", url, "i/o timeout");
                self.failed(error)?;
                continue;
            }
            let begun = Instant::now();
            let error = match body.read(&mut buffer[..most]) {
                Ok(0) => self
                    .repository
                    .session()
                    .wrong("GET", url, "unexpected EOF"),
                Ok(count) => {
                    self.position += count as u64;
                    self.waited.0 += begun.elapsed();
                    return Ok(count);
                }
                Err(error) => self.repository.session().failed("GET", url, error),
            };
            self.failed(error)?;
        }
    }
}

/// Reads `bytes 5-9/10`: the start, and the whole length where it is known.
pub(crate) fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Server, config, ok, repository, status};

    fn content() -> Vec<u8> {
        (0..300_000u32).flat_map(u32::to_le_bytes).collect()
    }

    fn read(repository: &Repository, size: usize, offset: u64) -> Result<Vec<u8>> {
        let mut blob = repository.blob(Digest::of(b""), size as u64, offset)?;
        let mut bytes = Vec::new();
        match blob.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Error::from_io(error).unwrap()),
        }
    }

    /// The rest of the content from where a request wants it, of which only a part comes.
    fn part(start: usize, length: usize) -> Answer {
        let content = content();
        let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        let end = content.len().min(start + length);
        let headers = vec![("Content-Range", range)];
        let status = if start == 0 { 200 } else { 206 };
        Answer::Cut(
            status,
            headers,
            content.len() - start,
            content[start..end].to_vec(),
        )
    }

    #[test]
    fn what_is_cut_off_goes_on() {
        let server = Server::new(|seen| part(seen.start(), 500_000));
        let found = read(&server.repository(), content().len(), 0).unwrap();
        assert!(found == content());
        let ranges: Vec<_> = server.seen().iter().map(|seen| seen.start()).collect();
        assert_eq!(ranges, [0, 500_000, 1_000_000]);
        assert!(read(&server.repository(), content().len(), 1000).unwrap() == content()[1000..]);
        assert_eq!(
            read(&server.repository(), content().len(), 1_200_000).unwrap(),
            b""
        );
    }

    #[test]
    fn servers_that_know_no_ranges_send_it_all_again() {
        let server = Server::new(|_| ok(content()));
        assert!(read(&server.repository(), content().len(), 777).unwrap() == content()[777..]);
    }

    #[test]
    fn a_transfer_that_gets_nowhere_ends() {
        let server = Server::new(|seen| part(seen.start(), 0));
        let error = read(&server.repository(), content().len(), 0).unwrap_err();
        assert!(error.to_string().ends_with("unexpected EOF"), "{error}");
        assert_eq!(server.seen().len(), 5);
    }

    #[test]
    fn lies_about_the_length_are_refused() {
        for answer in [
            (|_: &_| ok("12345")) as fn(&crate::testing::Seen) -> Answer,
            |_| Answer::Endless,
            |_| {
                Answer::Of(
                    206,
                    vec![("Content-Range", "bytes 0-3/5".to_owned())],
                    "1234".into(),
                )
            },
        ] {
            let server = Server::new(answer);
            let error = read(&server.repository(), 4, 0).unwrap_err();
            assert!(matches!(error, Error::WrongSize { .. }), "{error}");
        }
        let server = Server::new(|_| {
            Answer::Of(
                206,
                vec![("Content-Range", "bytes 1-3/4".to_owned())],
                "234".into(),
            )
        });
        let error = read(&server.repository(), 4, 2).unwrap_err();
        assert!(error.to_string().ends_with("a wrong range"), "{error}");
    }

    #[test]
    fn another_server_goes_on() {
        let mirror = Server::new(|seen| match seen.start() {
            0 => part(0, 70_000),
            _ => status(404),
        });
        let server = Server::new(|seen| part(seen.start(), usize::MAX / 2));
        let mut config = config();
        config.rules.push(crate::Rule {
            prefix: server.host(),
            mirrors: vec![crate::Mirror {
                url: format!("http://{}", mirror.host()),
            }],
            fall_back: true,
        });
        let repository = repository(config, &format!("{}/team/app", server.host()));
        assert!(read(&repository, content().len(), 0).unwrap() == content());
        assert_eq!(mirror.seen().len(), 2);
        assert_eq!(server.seen().len(), 1);
        assert_eq!(server.seen()[0].start(), 70_000);
    }

    #[test]
    fn what_stalls_is_begun_again() {
        let server = Server::new(|seen| match seen.start() {
            0 => Answer::Stalled(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12".to_vec()),
            _ => Answer::Of(
                206,
                vec![("Content-Range", "bytes 2-3/4".to_owned())],
                "34".into(),
            ),
        });
        let mut config = config();
        config.limits.stall = std::time::Duration::from_millis(200);
        let repository = repository(config, &format!("{}/team/app", server.host()));
        assert_eq!(read(&repository, 4, 0).unwrap(), b"1234");
    }

    #[test]
    fn a_byte_now_and_then_is_a_stall_too() {
        let server = Server::new(|seen| match seen.start() {
            0 => Answer::Slow(content()),
            start => part(start, usize::MAX / 2),
        });
        let mut config = config();
        config.limits.stall = std::time::Duration::from_millis(200);
        let repository = repository(config, &format!("{}/team/app", server.host()));
        assert!(read(&repository, content().len(), 0).unwrap() == content());
        assert!(server.seen().len() >= 2);
    }

    #[test]
    fn what_waits_is_cancelled() {
        let server = Server::new(|_| {
            Answer::Stalled(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12".to_vec())
        });
        let repository = server.repository();
        let mut blob = repository.blob(Digest::of(b""), 4, 0).unwrap();
        let cancel = repository.session().cancel.clone();
        let mut bytes = [0; 4];
        assert_eq!(blob.read(&mut bytes).unwrap(), 2);
        let waiting = std::thread::spawn(move || blob.read(&mut [0; 4]));
        cancel.cancel();
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(Error::from_io(error), Ok(Error::Cancelled)));
    }

    #[test]
    fn a_blob_that_is_not_there_is_named() {
        let server = Server::new(|_| status(404));
        let error = server
            .repository()
            .blob(Digest::of(b""), 4, 0)
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, Error::BlobUnknown(_)), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}
