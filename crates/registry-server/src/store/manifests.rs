//! Manifests and tags: kept as they came, in one durable transaction with all
//! that is said about them.

use gantry_metadata::Tx;
use gantry_metadata::registry::manifests::{self, ManifestRow, NewManifest, ReferrerRow};
use gantry_metadata::registry::{blobs, repositories, tags};
use gantry_types::{Digest, is_tag};

use super::Store;
use crate::failure::{Code, Failure, Result};
use crate::manifest::Parsed;

/// What a manifest is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Tag(String),
    Digest(Digest),
}

impl Reference {
    /// Reads a tag or a digest.
    ///
    /// # Errors
    /// `DIGEST_INVALID`, `TAG_INVALID`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.contains(':') {
            return digest(text).map(Self::Digest);
        }
        match is_tag(text) {
            true => Ok(Self::Tag(text.to_owned())),
            false => Err(Failure::with(
                Code::TagInvalid,
                "the tag does not follow the grammar of the distribution spec",
            )),
        }
    }
}

/// Reads a digest.
///
/// # Errors
/// `DIGEST_INVALID`.
pub(crate) fn digest(text: &str) -> Result<Digest> {
    text.parse::<Digest>()
        .map_err(|error| Failure::with(Code::DigestInvalid, error.to_string()))
}

impl Store {
    /// Keeps a manifest, whose bytes hash to `digest`, and lets `tags` stand for it.
    ///
    /// # Errors
    /// `MANIFEST_BLOB_UNKNOWN` when a part of it is missing and `complete` is asked for.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        digest: Digest,
        bytes: &[u8],
        parsed: &Parsed,
        tags: &[String],
        complete: bool,
    ) -> Result<()> {
        self.database.write_durable(|tx| {
            if complete {
                check_parts(tx, repository, parsed)?;
            }
            let id = repositories::ensure(tx, repository)?;
            let needs: Vec<Digest> = parsed
                .blobs
                .iter()
                .chain(&parsed.manifests)
                .copied()
                .collect();
            let new = NewManifest {
                digest,
                media_type: &parsed.media_type,
                bytes,
                artifact_type: parsed.artifact_type.as_deref(),
                subject: parsed.subject,
                annotations: parsed.annotations.as_deref(),
                needs: &needs,
            };
            manifests::insert(tx, id, &new)?;
            for tag in tags {
                self::tags::set(tx, id, tag, digest)?;
            }
            Ok(())
        })
    }

    /// The manifest of a repository.
    ///
    /// # Errors
    /// `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`.
    pub(crate) fn manifest(&self, repository: &str, reference: &Reference) -> Result<ManifestRow> {
        self.database.read(|view| {
            let found = match reference {
                Reference::Tag(tag) => manifests::by_tag(view, repository, tag)?,
                Reference::Digest(digest) => manifests::get(view, repository, *digest)?,
            };
            if let Some(found) = found {
                return Ok(found);
            }
            repositories::find(view, repository)?.ok_or_else(|| unknown_name(repository))?;
            Err(unknown(reference))
        })
    }

    /// Deletes a tag, or a manifest with all its tags.
    ///
    /// # Errors
    /// `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`.
    pub(crate) fn delete_manifest(&self, repository: &str, reference: &Reference) -> Result<()> {
        self.database.write_freeing_durable(|tx| {
            repositories::find(tx, repository)?.ok_or_else(|| unknown_name(repository))?;
            let deleted = match reference {
                Reference::Tag(tag) => tags::delete(tx, repository, tag)?,
                Reference::Digest(digest) => manifests::delete(tx, repository, *digest)?,
            };
            match deleted {
                true => Ok(()),
                false => Err(unknown(reference)),
            }
        })
    }

    /// At most `limit` tags behind `last`.
    ///
    /// # Errors
    /// `NAME_UNKNOWN`.
    pub(crate) fn tags(&self, repository: &str, last: &str, limit: u64) -> Result<Vec<String>> {
        self.database.read(|view| {
            let id = repositories::find(view, repository)?;
            let id = id.ok_or_else(|| unknown_name(repository))?;
            Ok(tags::list(view, id, last, limit)?)
        })
    }

    /// What says something about `subject`.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn referrers(&self, repository: &str, subject: Digest) -> Result<Vec<ReferrerRow>> {
        Ok(self
            .database
            .read(|view| manifests::referrers(view, repository, subject))?)
    }
}

/// Checks that the repository has every part of a manifest.
fn check_parts(tx: &Tx<'_>, repository: &str, parsed: &Parsed) -> Result<()> {
    let missing = |digest: &Digest| {
        Failure::new(Code::ManifestBlobUnknown).detail(serde_json::json!({
            "digest": digest.to_string()
        }))
    };
    for digest in &parsed.blobs {
        if blobs::get(tx, repository, *digest)?.is_none() {
            return Err(missing(digest));
        }
    }
    let id = repositories::find(tx, repository)?;
    for digest in &parsed.manifests {
        let there = match id {
            Some(id) => manifests::exists(tx, id, *digest)?,
            None => false,
        };
        if !there {
            return Err(missing(digest));
        }
    }
    Ok(())
}

fn unknown_name(repository: &str) -> Failure {
    Failure::new(Code::NameUnknown).detail(serde_json::json!({ "name": repository }))
}

fn unknown(reference: &Reference) -> Failure {
    let (key, value) = match reference {
        Reference::Tag(tag) => ("tag", tag.clone()),
        Reference::Digest(digest) => ("digest", digest.to_string()),
    };
    Failure::new(Code::ManifestUnknown).detail(serde_json::json!({ key: value }))
}
