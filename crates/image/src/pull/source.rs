//! Where a pull gets its bytes from: the wire, or a test's own idea of it.

use std::io::{self, Read};

use gantry_registry::{Cancel, Client, Document, Error, Repository};
use gantry_types::{Descriptor, Digest};

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
    /// So many of the servers that have it gave wrong bytes: the next ones are asked.
    pub skip: usize,
}

impl Wanted {
    /// What a descriptor says, had from nowhere else.
    pub fn of(descriptor: &Descriptor) -> Self {
        Self {
            digest: descriptor.digest,
            size: descriptor.size,
            urls: Vec::new(),
            skip: 0,
        }
    }
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
    repository: Repository,
}

impl Remote {
    /// A repository of that client's. Nothing is asked yet.
    pub fn new(client: &Client, repository: &Repository) -> Self {
        Self {
            client: client.clone(),
            repository: repository.clone(),
        }
    }

    /// What the registry does not have itself, from elsewhere.
    fn foreign(
        &self,
        wanted: &Wanted,
        offset: u64,
        cancel: &Cancel,
    ) -> gantry_registry::Result<Box<dyn Read + Send>> {
        let mut failure = Error::BlobUnknown(wanted.digest);
        for url in &wanted.urls {
            match self.client.get(url, cancel) {
                Ok(mut found) => {
                    io::copy(&mut (&mut found).take(offset), &mut io::sink())
                        .map_err(|error| Error::from_io(error).unwrap_or_else(Error::Source))?;
                    return Ok(Box::new(found));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl Source for Remote {
    fn tag(&self, tag: &str, cancel: &Cancel) -> Result<Document> {
        Ok(self.repository.with_cancel(cancel).resolve(tag)?)
    }

    fn digest(&self, digest: Digest, cancel: &Cancel) -> Result<Document> {
        Ok(self.repository.with_cancel(cancel).manifest(digest)?)
    }

    fn tags(&self, cancel: &Cancel) -> Result<Vec<String>> {
        Ok(self.repository.with_cancel(cancel).tags()?)
    }

    fn blob(&self, wanted: &Wanted, offset: u64, cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        let repository = self.repository.with_cancel(cancel);
        let Wanted {
            digest, size, skip, ..
        } = *wanted;
        match repository.blob_after(digest, size, offset, skip) {
            Ok(blob) => Ok(Box::new(blob)),
            Err(Error::BlobUnknown(_)) if skip == 0 && !wanted.urls.is_empty() => {
                Ok(self.foreign(wanted, offset, cancel)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}
