//! The signatures of a repository, as a registry has them.

use std::io::Read;

use gantry_registry::{Error, Repository};
use gantry_types::{Digest, ErrorKind};

use crate::{MAX_SIGNATURES, Signatures, bundle};

/// How many of those that refer to one image are asked what they are.
const MAX_REFERRERS: usize = 256;

impl Signatures for Repository {
    fn manifest(&self, tag: &str) -> Result<Option<Vec<u8>>, String> {
        match self.resolve(tag) {
            Ok(document) => Ok(Some(document.bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn blob(&self, digest: Digest, size: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        Repository::blob(self, digest, size, 0)
            .map_err(|error| error.to_string())?
            .take(size)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn bundles(&self, image: Digest) -> Result<Vec<Result<Vec<u8>, String>>, String> {
        let index = self.referrers(image).map_err(|error| error.to_string())?;
        let referrers = index.manifests.iter().take(MAX_REFERRERS);
        let bundles = referrers.filter_map(|one| bundle_in(self, one.digest).transpose());
        Ok(bundles.take(MAX_SIGNATURES).collect())
    }
}

/// The bundle that a manifest holds, if it is one's.
fn bundle_in(repository: &Repository, manifest: Digest) -> Result<Option<Vec<u8>>, String> {
    let document = repository.resolve(&manifest.to_string());
    let document = document.map_err(|error| error.to_string())?;
    match bundle::of_manifest(&document.bytes) {
        Some((digest, size)) => Signatures::blob(repository, digest, size).map(Some),
        None => Ok(None),
    }
}

/// Whether a registry says that there is no such thing, and not that it is for
/// others.
fn is_absent(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && !matches!(error, Error::PullDenied { .. })
}
