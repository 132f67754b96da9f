//! The signatures of a repository, as a registry has them.

use std::io::Read;

use gantry_registry::{Error, Repository};
use gantry_types::{Digest, ErrorKind};

use crate::{MAX_PAYLOAD, MAX_SIGNATURES, Signatures, bundle};

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
            .take(MAX_PAYLOAD)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn bundles(&self, image: Digest) -> Result<Vec<Vec<u8>>, String> {
        let text = |error: Error| error.to_string();
        let index = self.referrers(image).map_err(text)?;
        let mut found = Vec::new();
        for descriptor in index.manifests.iter().take(MAX_SIGNATURES) {
            let document = self.resolve(&descriptor.digest.to_string()).map_err(text)?;
            let Some((digest, size)) = bundle::of_manifest(&document.bytes) else {
                continue;
            };
            let mut bytes = Vec::new();
            Repository::blob(self, digest, size, 0)
                .map_err(text)?
                .take(bundle::MAX_BUNDLE)
                .read_to_end(&mut bytes)
                .map_err(|error| error.to_string())?;
            found.push(bytes);
        }
        Ok(found)
    }
}

/// Whether a registry says that there is no such thing, and not that it is for
/// others.
fn is_absent(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && !matches!(error, Error::PullDenied { .. })
}
