//! A cache of another registry: what is asked for and not here is fetched from there,
//! sent on while it comes, and kept. What a tag stands for is asked there each time;
//! while nobody answers there, what is here counts.

mod fetch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_metadata::now;
use gantry_metadata::registry::manifests::{self, ManifestRow};
use gantry_registry::{Cancel, Client, Config, Credentials, Error, Repository};
use gantry_types::{Digest, ErrorKind};

use crate::failure::{Code, Failure, Result};
use crate::manifest;
use crate::metrics::METRICS;
use crate::options::Settings;
use crate::store::{Reference, Store};

pub(crate) use fetch::Fetch;

/// How often the other registry is tried.
const ATTEMPTS: u32 = 2;
/// How long it is left alone after it did not answer, where there is something here.
const REST: i64 = 15_000_000_000;
/// Repositories whose connections are kept.
const KEPT: usize = 64;
/// That something was pulled is noted once in an hour.
const NOTE_EVERY: i64 = 3_600_000_000_000;

/// The other registry.
pub(crate) struct Proxy {
    client: Client,
    host: String,
    credentials: Credentials,
    repositories: Mutex<HashMap<String, Repository>>,
    fetches: Mutex<HashMap<(String, Digest), Arc<Fetch>>>,
    /// Until when it is left alone.
    rests_until: AtomicI64,
}

impl Proxy {
    /// The registry that the settings name; nothing is asked yet.
    ///
    /// # Errors
    /// When its URL is none.
    pub(crate) fn new(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(url) = &settings.proxy else {
            return Ok(None);
        };
        let wrong = || format!("--proxy {url:?}: must be http:// or https://, and a host");
        let (scheme, host) = url.split_once("://").ok_or_else(wrong)?;
        let host = host.trim_end_matches('/');
        let sound = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
        let insecure = match (scheme, sound) {
            ("https", true) => Vec::new(),
            ("http", true) => vec![host.to_owned()],
            _ => return Err(wrong()),
        };
        let mut config = Config::default();
        config.insecure = insecure;
        config.attempts = ATTEMPTS;
        let client = Client::new(config);
        Ok(Some(Self {
            client: client.map_err(|error| error.to_string())?,
            host: host.to_owned(),
            credentials: Credentials {
                username: settings.proxy_username.clone(),
                password: settings.proxy_password.clone(),
                ..Credentials::default()
            },
            repositories: Mutex::default(),
            fetches: Mutex::default(),
            rests_until: AtomicI64::new(0),
        }))
    }

    /// A manifest: from here if it cannot have changed, else from there. Blocks.
    ///
    /// # Errors
    /// When neither has it.
    pub(crate) fn manifest(
        &self,
        store: &Store,
        name: &str,
        reference: &Reference,
    ) -> Result<ManifestRow> {
        let here = match store.manifest(name, reference) {
            Ok(row) => Some(row),
            Err(failure) if failure.status == http::StatusCode::NOT_FOUND => None,
            Err(failure) => return Err(failure),
        };
        let text = match reference {
            Reference::Digest(digest) => digest.to_string(),
            Reference::Tag(tag) => tag.clone(),
        };
        let never_changes = matches!(reference, Reference::Digest(_));
        if let Some(row) = here
            && (never_changes || self.is_current(name, &text, &row)?)
        {
            METRICS.hits.add(1);
            note(store, name, &row);
            return Ok(row);
        }
        METRICS.misses.add(1);
        let found = self.repository(name)?.resolve(&text);
        let found = found.map_err(|error| self.failure(&error))?;
        let parsed = manifest::parse(&found.bytes, Some(&found.media_type));
        let parsed = parsed.map_err(|reason| Failure::with(Code::ManifestInvalid, reason))?;
        let tags = match reference {
            Reference::Tag(tag) => vec![tag.clone()],
            Reference::Digest(_) => Vec::new(),
        };
        let kept = store.put_manifest(name, found.digest, &found.bytes, &parsed, &tags, false);
        if kept.is_err() {
            tracing::warn!(name, text, "the cache cannot keep a manifest");
        }
        Ok(ManifestRow {
            digest: found.digest,
            media_type: parsed.media_type,
            used_at: now(),
            bytes: found.bytes,
        })
    }

    /// Whether a tag still stands for what is here, as far as can be known.
    fn is_current(&self, name: &str, tag: &str, row: &ManifestRow) -> Result<bool> {
        if now() < self.rests_until.load(Ordering::Relaxed) {
            return Ok(true);
        }
        match self.repository(name)?.digest_of(tag) {
            Ok(digest) => Ok(digest == Some(row.digest)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.failure(&error)),
            Err(error) => {
                tracing::warn!(%error, name, tag, "the tag cannot be checked: what is here counts");
                let until = now().saturating_add(REST);
                self.rests_until.store(until, Ordering::Relaxed);
                Ok(true)
            }
        }
    }

    /// The length of a blob there. Blocks.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN`; when nobody answers.
    pub(crate) fn blob_size(&self, name: &str, digest: Digest) -> Result<u64> {
        let size = self.repository(name)?.head_blob(digest);
        size.map_err(|error| self.failure(&error))?
            .ok_or_else(|| Failure::new(Code::BlobUnknown).detail(digest.to_string()))
    }

    /// All tags there, in order; `None` when nobody answers. Blocks.
    ///
    /// # Errors
    /// `NAME_UNKNOWN`.
    pub(crate) fn tags(&self, name: &str) -> Result<Option<Vec<String>>> {
        match self.repository(name)?.tags() {
            Ok(mut tags) => {
                tags.retain(|tag| gantry_types::is_tag(tag));
                tags.sort();
                tags.dedup();
                Ok(Some(tags))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Failure::new(Code::NameUnknown).detail(name))
            }
            Err(error) => {
                tracing::warn!(%error, name, "the tags cannot be listed: those here count");
                Ok(None)
            }
        }
    }

    fn repository(&self, name: &str) -> Result<Repository> {
        let mut repositories = lock(&self.repositories);
        if let Some(known) = repositories.get(name) {
            return Ok(known.clone());
        }
        let invalid = || Failure::new(Code::NameInvalid).detail(name);
        let reference = format!("{}/{name}", self.host).parse();
        let reference = reference.map_err(|_| invalid())?;
        let repository = self
            .client
            .repository(&reference, &self.credentials, &Cancel::new())
            .map_err(|_| invalid())?;
        if repositories.len() >= KEPT {
            repositories.clear();
        }
        repositories.insert(name.to_owned(), repository.clone());
        Ok(repository)
    }

    /// What a failure there means here.
    fn failure(&self, error: &Error) -> Failure {
        match error {
            Error::BlobUnknown(digest) => {
                Failure::new(Code::BlobUnknown).detail(digest.to_string())
            }
            Error::NameUnknown { name, .. } => {
                Failure::new(Code::NameUnknown).detail(name.as_str())
            }
            Error::ManifestUnknown { .. } | Error::PullDenied { .. } => {
                Failure::new(Code::ManifestUnknown)
            }
            Error::Refused(refusal) if refusal.status == 429 => {
                let wait = refusal.retry_after.map_or(60, |time| time.as_secs());
                Failure::new(Code::TooManyRequests)
                    .header(http::header::RETRY_AFTER, wait.to_string())
            }
            other => {
                tracing::warn!(error = %other, host = self.host, "the other registry");
                let text = "the registry that this one is a cache of does not answer";
                Failure::with(Code::Unknown, text).status(http::StatusCode::BAD_GATEWAY)
            }
        }
    }
}

/// Notes that a manifest was pulled, so that it is kept.
fn note(store: &Store, name: &str, row: &ManifestRow) {
    let since = now().saturating_sub(NOTE_EVERY);
    if row.used_at < since {
        let noted: Result<()> = store
            .database
            .write(|tx| Ok(manifests::touch(tx, name, row.digest, since)?));
        // On a full disk; it was told already.
        drop(noted);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
