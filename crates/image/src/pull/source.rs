//! Where a pull gets its bytes from: the wire, or a test's own idea of it.

use std::io::Read;

use gantry_registry::{Cancel, Client, Credentials, Document, Repository};
use gantry_types::{Digest, Reference};

use crate::Result;

/// A blob that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What its bytes must hash to.
    pub digest: Digest,
    /// How many there must be.
    pub size: u64,
    /// Where else it may be had.
    pub urls: Vec<String>,
}

/// One repository of a registry.
pub trait Source: Send + Sync {
    /// The manifest or index of a tag.
    ///
    /// # Errors
    /// When there is none, or the registry cannot be asked.
    fn tag(&self, tag: &str, cancel: &Cancel) -> Result<Document>;

    /// The manifest or index of a digest.
    ///
    /// # Errors
    /// When there is none, it is another, or the registry cannot be asked.
    fn digest(&self, digest: Digest, cancel: &Cancel) -> Result<Document>;

    /// All tags.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    fn tags(&self, cancel: &Cancel) -> Result<Vec<String>>;

    /// The bytes of a blob from `offset` on. They are not checked, and may be fewer
    /// than there should be, not more. A cut is mended as long as that makes sense.
    ///
    /// # Errors
    /// When there is none, or the registry cannot be asked.
    fn blob(&self, wanted: &Wanted, offset: u64, cancel: &Cancel) -> Result<Box<dyn Read + Send>>;
}

/// A repository of a registry.
pub struct Remote {
    client: Client,
    reference: Reference,
    credentials: Credentials,
}

impl Remote {
    /// The repository that `reference` names. Nothing is asked yet.
    pub fn new(client: &Client, reference: &Reference, credentials: &Credentials) -> Self {
        Self {
            client: client.clone(),
            reference: reference.clone(),
            credentials: credentials.clone(),
        }
    }

    fn repository(&self, cancel: &Cancel) -> Result<Repository> {
        let Self {
            client,
            reference,
            credentials,
        } = self;
        Ok(client.repository(reference, credentials, cancel)?)
    }
}

impl Source for Remote {
    fn tag(&self, tag: &str, cancel: &Cancel) -> Result<Document> {
        Ok(self.repository(cancel)?.resolve(tag)?)
    }

    fn digest(&self, digest: Digest, cancel: &Cancel) -> Result<Document> {
        Ok(self.repository(cancel)?.manifest(digest)?)
    }

    fn tags(&self, cancel: &Cancel) -> Result<Vec<String>> {
        Ok(self.repository(cancel)?.tags()?)
    }

    fn blob(&self, wanted: &Wanted, offset: u64, cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        let repository = self.repository(cancel)?;
        let blob = repository.blob(wanted.digest, wanted.size, offset)?;
        Ok(Box::new(blob))
    }
}
