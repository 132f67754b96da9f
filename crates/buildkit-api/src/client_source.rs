//! A directory of the client that has blobs, as a source of layers and images: a cache,
//! or a layout of OCI.

use std::io::Read;
use std::sync::Arc;

use gantry_image::{MAX_DOCUMENT, Source, Wanted};
use gantry_registry::{Cancel, Document};
use gantry_types::Digest;
use tokio::runtime::Handle;

use crate::exports::client_store::Content;
use crate::session::Session;

/// A directory of the client, as a source of layers.
pub(crate) struct ClientStore {
    session: Arc<Session>,
    runtime: Handle,
    name: String,
}

impl ClientStore {
    pub(crate) fn of(session: &Arc<Session>, runtime: &Handle, name: String) -> Arc<dyn Source> {
        Arc::new(Self {
            session: Arc::clone(session),
            runtime: runtime.clone(),
            name,
        })
    }

    fn read(&self, digest: Digest) -> gantry_image::Result<impl Read + Send + use<>> {
        let content = Content::new(&self.session, &self.runtime, &self.name);
        let read = content.read(digest);
        read.map_err(|status| gantry_image::Error::Invalid(status.text))
    }
}

impl Source for ClientStore {
    fn tag(&self, tag: &str, _: &Cancel) -> gantry_image::Result<Document> {
        let text = format!("a directory has no tag {tag}");
        Err(gantry_image::Error::Invalid(text))
    }

    fn digest(&self, digest: Digest, _: &Cancel) -> gantry_image::Result<Document> {
        let invalid = |text: String| gantry_image::Error::Invalid(text);
        let mut bytes = Vec::new();
        let from = self.read(digest)?;
        from.take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| invalid(format!("{digest}: {error}")))?;
        if bytes.len() as u64 > MAX_DOCUMENT || digest.like(&bytes) != digest {
            return Err(invalid(format!("{digest} is not what it says")));
        }
        Ok(Document {
            media_type: String::new(),
            digest,
            bytes,
            from: String::new(),
            rate_limit: None,
        })
    }

    fn tags(&self, _: &Cancel) -> gantry_image::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn blob(
        &self,
        wanted: &Wanted,
        offset: u64,
        _: &Cancel,
    ) -> gantry_image::Result<Box<dyn Read + Send>> {
        if wanted.skip != 0 {
            // There is no other directory that might have the right bytes.
            return Err(gantry_image::Error::NotVerified(wanted.digest));
        }
        let mut from = self.read(wanted.digest)?;
        std::io::copy(&mut (&mut from).take(offset), &mut std::io::sink())
            .map_err(|error| gantry_image::Error::Invalid(format!("{}: {error}", wanted.digest)))?;
        Ok(Box::new(from.take(wanted.size.saturating_sub(offset))))
    }
}
