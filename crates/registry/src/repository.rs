//! A repository: its documents and tags, and what is sent to it.

use std::sync::Arc;

use gantry_types::{Digest, Reference};

use crate::blob::Blob;
use crate::cancel::Cancel;
use crate::document::{self, Document, RateLimit};
use crate::endpoint::{DELETE, Endpoint, PULL, PUSH};
use crate::error::{Error, Result};
use crate::session::Session;

/// A repository at its registry and at its mirrors. Copies are the same one, and
/// share connections.
#[derive(Clone)]
pub struct Repository(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) session: Session,
    /// As the user knows it.
    pub(crate) name: Reference,
    pub(crate) endpoints: Arc<[Endpoint]>,
}

impl Repository {
    pub(crate) fn new(session: Session, name: &Reference, endpoints: Vec<Endpoint>) -> Self {
        let endpoints = endpoints.into();
        Self(Arc::new(Inner {
            session,
            name: name.clone(),
            endpoints,
        }))
    }

    /// The same repository, with its connections and tokens, under another switch.
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        let mut session = self.0.session.clone();
        session.cancel = cancel.clone();
        let (name, endpoints) = (self.0.name.clone(), Arc::clone(&self.0.endpoints));
        Self(Arc::new(Inner {
            session,
            name,
            endpoints,
        }))
    }

    /// The document that a tag, or a digest, names.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`], [`Error::PullDenied`], and whatever keeps us from
    /// knowing.
    pub fn resolve(&self, tag_or_digest: &str) -> Result<Document> {
        let wanted = tag_or_digest.parse::<Digest>().ok();
        self.each(|endpoint| self.document(endpoint, tag_or_digest, wanted))
            .map_err(|error| self.explained(error, tag_or_digest))
    }

    /// The manifest with that digest.
    ///
    /// # Errors
    /// As [`Repository::resolve`].
    pub fn manifest(&self, digest: Digest) -> Result<Document> {
        self.resolve(&digest.to_string())
    }

    /// The digest of what a tag names, where the registry tells it without the
    /// document; asking for it does not count as a pull.
    ///
    /// # Errors
    /// As [`Repository::resolve`].
    pub fn digest_of(&self, tag: &str) -> Result<Option<Digest>> {
        self.each(|endpoint| {
            let ask = endpoint.ask(self.session(), "HEAD", &format!("manifests/{tag}"), PULL)?;
            let ask = ask.header("Accept", document::ACCEPT);
            let response = self.session().ask(&ask)?;
            let digest = response.head.get("docker-content-digest");
            Ok(digest.and_then(|digest| digest.parse().ok()))
        })
        .map_err(|error| self.explained(error, tag))
    }

    /// Reads a blob of a known size, from `offset` on.
    ///
    /// # Errors
    /// When no server has it. What goes wrong later is an error of the reader.
    pub fn blob(&self, digest: Digest, size: u64, offset: u64) -> Result<Blob> {
        Blob::open(self, digest, size, offset, 0)
    }

    /// As [`Repository::blob`], but does not ask the first `skip` servers: for those
    /// who have found that the bytes of an earlier one were wrong ([`Blob::server`]).
    ///
    /// # Errors
    /// As [`Repository::blob`]; [`Error::BlobUnknown`] when no server is left.
    pub fn blob_after(&self, digest: Digest, size: u64, offset: u64, skip: usize) -> Result<Blob> {
        Blob::open(self, digest, size, offset, skip)
    }

    /// The size of a blob that the registry itself has: whether it need not be sent.
    ///
    /// # Errors
    /// When it cannot be known.
    pub fn head_blob(&self, digest: Digest) -> Result<Option<u64>> {
        let what = format!("blobs/{digest}");
        let ask = self.origin()?.ask(self.session(), "HEAD", &what, PUSH)?;
        match self.session().ask(&ask) {
            Ok(response) => Ok(response.head.length().ok().flatten()),
            Err(Error::Refused(refusal)) if refusal.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a manifest under a tag, or under its digest.
    ///
    /// # Errors
    /// With the registry's words when it is refused; when the registry has stored
    /// something else.
    pub fn put_manifest(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest> {
        let digest = tag_or_digest
            .parse::<Digest>()
            .map_or_else(|_| Digest::of(bytes), |named| named.like(bytes));
        let what = format!("manifests/{tag_or_digest}");
        let ask = self.origin()?.ask(self.session(), "PUT", &what, PUSH)?;
        let ask = ask.header("Content-Type", media_type).bytes(bytes);
        let response = self.session().ask(&ask)?;
        let stored = response.head.get("docker-content-digest");
        match stored.and_then(|stored| stored.parse::<Digest>().ok()) {
            Some(found) if found != found.like(bytes) => Err(Error::WrongDigest {
                what: "manifest",
                expected: found.like(bytes),
                found: Box::new(found),
            }),
            _ => Ok(digest),
        }
    }

    /// Deletes a manifest: a tag, or a digest with all its tags.
    ///
    /// # Errors
    /// With the registry's words when it is refused.
    pub fn delete_manifest(&self, tag_or_digest: &str) -> Result<()> {
        let what = format!("manifests/{tag_or_digest}");
        let ask = self
            .origin()?
            .ask(self.session(), "DELETE", &what, DELETE)?;
        self.session().ask(&ask).map(drop)
    }

    pub(crate) fn session(&self) -> &Session {
        &self.0.session
    }

    /// The endpoint that is written to.
    pub(crate) fn origin(&self) -> Result<&Endpoint> {
        let mut endpoints = self.0.endpoints.iter();
        endpoints
            .find(|endpoint| endpoint.is_origin)
            .ok_or_else(|| Error::Config {
                what: "registry",
                text: self.0.name.domain().to_owned(),
                reason: "a rule allows only its mirrors".to_owned(),
            })
    }

    /// Asks one server after the other. The last one's error counts: it is the
    /// registry itself.
    pub(crate) fn each<T>(&self, ask: impl Fn(&Endpoint) -> Result<T>) -> Result<T> {
        let mut last = Error::Cancelled;
        for endpoint in self.0.endpoints.iter() {
            match ask(endpoint) {
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    tracing::debug!(server = endpoint.name(), %error, "no answer of use");
                    last = error;
                }
                done => return done,
            }
        }
        Err(last)
    }

    fn document(
        &self,
        endpoint: &Endpoint,
        name: &str,
        wanted: Option<Digest>,
    ) -> Result<Document> {
        let ask = endpoint.ask(self.session(), "GET", &format!("manifests/{name}"), PULL)?;
        let (url, ask) = (ask.url.clone(), ask.header("Accept", document::ACCEPT));
        let mut response = self.session().ask(&ask)?;
        let bytes = self.session().whole(&url, "the manifest", &mut response)?;
        let said = response.head.get("docker-content-digest");
        let said = said.and_then(|said| said.parse::<Digest>().ok());
        let expected = wanted.or(said);
        let digest = expected.map_or_else(|| Digest::of(&bytes), |one| one.like(&bytes));
        match expected {
            Some(expected) if expected != digest => Err(Error::WrongDigest {
                what: "manifest",
                expected,
                found: Box::new(digest),
            }),
            _ => Ok(Document {
                media_type: document::media_type(&response.head, &bytes),
                digest,
                bytes,
                from: endpoint.name(),
                rate_limit: RateLimit::of(&response.head),
            }),
        }
    }

    /// Docker's words for what a pull is refused with.
    pub(crate) fn explained(&self, error: Error, tag_or_digest: &str) -> Error {
        let name = self.0.name.familiar_name();
        let refusal = match error {
            Error::Refused(refusal) => refusal,
            // Docker asks for the head first, and says so.
            Error::NoCredentials { request } => {
                let request = request.replacen("Get ", "Head ", 1);
                return Error::NoCredentials { request };
            }
            other => return other,
        };
        if refusal.is("DENIED") {
            return Error::PullDenied { name, refusal };
        }
        if refusal.is("NAME_UNKNOWN") {
            return Error::NameUnknown { name, refusal };
        }
        if refusal.is("MANIFEST_UNKNOWN") {
            let between = if tag_or_digest.contains(':') {
                '@'
            } else {
                ':'
            };
            let reference = format!("{name}{between}{tag_or_digest}");
            return Error::ManifestUnknown { reference, refusal };
        }
        Error::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Server, config, ok, repository, status};
    use crate::{Cancel, Credentials};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/x"}"#;

    fn errors(status: u16, code: &str) -> Answer {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"words"}}]}}"#);
        Answer::Of(status, Vec::new(), body.into())
    }

    #[test]
    fn documents_are_found_and_checked() {
        let server = Server::new(|seen| match seen.target.as_str() {
            "/v2/team/app/manifests/latest" => Answer::Of(
                200,
                vec![
                    ("RateLimit-Limit", "100;w=21600".to_owned()),
                    ("RateLimit-Remaining", "7;w=21600".to_owned()),
                ],
                MANIFEST.into(),
            ),
            _ => ok("something else"),
        });
        let repository = server.repository();
        let document = repository.resolve("latest").unwrap();
        assert_eq!(document.bytes, MANIFEST.as_bytes());
        assert_eq!(document.digest, Digest::of(MANIFEST.as_bytes()));
        assert_eq!(document.media_type, "application/x");
        assert_eq!(document.from, server.host());
        let limit = RateLimit {
            limit: 100,
            remaining: 7,
            window: 21600,
        };
        assert_eq!(document.rate_limit, Some(limit));
        let error = repository.manifest(document.digest).unwrap_err();
        assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    }

    #[test]
    fn refusals_are_told_in_dockers_words() {
        let server = Server::new(|seen| match seen.target.rsplit('/').next().unwrap() {
            "denied" => errors(403, "DENIED"),
            "unknown" => errors(404, "MANIFEST_UNKNOWN"),
            "name" => errors(404, "NAME_UNKNOWN"),
            "many" => errors(429, "TOOMANYREQUESTS"),
            "loop" => Answer::Of(307, vec![("Location", "loop".to_owned())], Vec::new()),
            "endless" => Answer::Endless,
            _ => Answer::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()),
        });
        let repository = server.repository();
        let name = format!("{}/team/app", server.host());
        for (tag, wanted) in [
            (
                "denied",
                format!(
                    "pull access denied for {name}, repository does not exist or may require \
                     'docker login': denied: words"
                ),
            ),
            (
                "unknown",
                format!("manifest for {name}:unknown not found: manifest unknown: words"),
            ),
            (
                "name",
                format!("repository {name} not found: name unknown: words"),
            ),
            ("many", "toomanyrequests: words".to_owned()),
            (
                "loop",
                format!("Get \"http://{name}/manifests/loop\": stopped after 8 redirects")
                    .replace("/team", "/v2/team"),
            ),
            (
                "endless",
                "the manifest is longer than 4194304 bytes".to_owned(),
            ),
            (
                "x",
                format!("Get \"http://{name}/manifests/x\": malformed HTTP response")
                    .replace("/team", "/v2/team"),
            ),
        ] {
            assert_eq!(repository.resolve(tag).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn documents_have_to_end() {
        let server = Server::new(|_| Answer::Slow(vec![b' '; 100_000]));
        let mut config = config();
        config.limits.answer = std::time::Duration::from_millis(100);
        let repository = repository(config, &format!("{}/team/app", server.host()));
        let error = repository.resolve("1").unwrap_err().to_string();
        assert!(error.ends_with("i/o timeout"), "{error}");
    }

    #[test]
    fn how_a_registry_is_spoken_to_is_found_out_once() {
        let probes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&probes);
        let server = Server::bare(move |seen| {
            if seen.target == "/v2/" {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            ok(MANIFEST)
        });
        let client = crate::Client::new(config()).unwrap();
        let name = format!("{}/team/app", server.host()).parse().unwrap();
        for _ in 0..3 {
            let (credentials, cancel) = (Credentials::default(), Cancel::new());
            let repository = client.repository(&name, &credentials, &cancel).unwrap();
            repository.resolve("a").unwrap();
        }
        assert_eq!(probes.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_next_server_is_asked() {
        let mirror = Server::new(|_| status(500));
        let server = Server::new(|_| ok(MANIFEST));
        let mut config = config();
        config.rules.push(crate::Rule {
            prefix: server.host(),
            mirrors: vec![crate::Mirror {
                url: format!("http://{}/cache", mirror.host()),
            }],
            fall_back: true,
        });
        let repository = repository(config, &format!("{}/team/app", server.host()));
        assert_eq!(repository.resolve("a").unwrap().from, server.host());
        assert_eq!(mirror.lines(), ["GET /v2/cache/team/app/manifests/a"; 3]);
    }

    #[test]
    fn a_registry_that_stores_something_else_is_found_out() {
        let other = Digest::of(b"other");
        let server = Server::new(move |seen| match seen.target.ends_with("/a") {
            true => Answer::Of(
                201,
                vec![("Docker-Content-Digest", other.to_string())],
                vec![],
            ),
            false => status(201),
        });
        let repository = server.repository();
        assert!(repository.put_manifest("a", "x/y", b"z").is_err());
        assert_eq!(
            repository.put_manifest("b", "x/y", b"z").unwrap(),
            Digest::of(b"z")
        );
        let any: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
        let long = any.like(b"z");
        let put = repository.put_manifest(&long.to_string(), "x/y", b"z");
        assert_eq!(put.unwrap(), long);
        let seen = server.seen();
        assert_eq!(seen[1].header("content-type"), Some("x/y"));
        assert_eq!(seen[1].body, b"z");
    }
}
