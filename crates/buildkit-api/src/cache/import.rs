//! Where a build looks for results that others have made. Whatever is wrong there is
//! told, and the build goes on without.

use std::io::Read;
use std::sync::Arc;

use gantry_build::Imports;
use gantry_engine::CacheOrigin;
use gantry_image::{MAX_DOCUMENT, Source, Wanted};
use gantry_registry::{Cancel, Credentials, Document};
use gantry_types::{Digest, Reference};
use tokio::runtime::Handle;

use super::Place;
use crate::BuildKit;
use crate::builds::Build;
use crate::exports::client_store::Content;
use crate::progress::Vertex;
use crate::session::{self, Session};
use crate::status::Status;

/// Reads the caches of all places; `None` when there are none.
pub(crate) async fn import(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    places: &[Place],
    credentials: Arc<dyn Fn(&str) -> Credentials + Send + Sync>,
) -> Option<Arc<dyn Imports>> {
    let mut origins = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let digest = Digest::of(format!("{}\0import{number}", build.id).as_bytes());
        let name = match place.kind.as_str() {
            "registry" => text(place, "ref").to_owned(),
            kind => format!("{kind}:{}", text(place, "src")),
        };
        let vertex = Vertex {
            digest: digest.to_string(),
            name: format!("importing cache manifest from {name}"),
            ..Vertex::default()
        };
        let (service, build) = (Arc::clone(service), Arc::clone(build));
        let (place, credentials) = (place.clone(), Arc::clone(&credentials));
        let progress = build.progress.clone();
        let read = async move {
            let session = session::find(&service.sessions, &build.session).await?;
            let runtime = Handle::current();
            let read = tokio::task::spawn_blocking(move || {
                let reading = Reading {
                    service,
                    build,
                    session,
                    runtime,
                };
                reading.origin(&place, &*credentials)
            });
            read.await
                .map_err(|error| Status::internal(error.to_string()))?
        };
        // That it failed is told by its step.
        if let Ok(origin) = progress.step(vertex, read).await {
            tracing::debug!(name, results = origin.count(), "a cache is imported");
            origins.push(origin);
        }
    }
    if origins.is_empty() {
        return None;
    }
    let builds = &service.engine.builds;
    Some(builds.origins(origins, &build.cancel))
}

fn text<'p>(place: &'p Place, key: &str) -> &'p str {
    place.attributes.get(key).map_or("", String::as_str)
}

struct Reading {
    service: Arc<BuildKit>,
    build: Arc<Build>,
    session: Arc<Session>,
    runtime: Handle,
}

impl Reading {
    fn origin(
        self,
        place: &Place,
        credentials: &dyn Fn(&str) -> Credentials,
    ) -> Result<CacheOrigin, Status> {
        let told = |error: gantry_engine::Error| Status::of(error.kind(), error.to_string());
        let builds = &self.service.engine.builds;
        let cancel = &self.build.cancel;
        match place.kind.as_str() {
            "registry" => {
                let name = text(place, "ref");
                let reference = name.parse::<Reference>();
                let reference = reference
                    .map_err(|error| Status::invalid(format!("failed to parse {name}: {error}")))?;
                let insecure = crate::truth::is_true(text(place, "registry.insecure"));
                let who = credentials(reference.domain());
                builds
                    .cache_of_registry(&reference, insecure, &who, cancel)
                    .map_err(told)
            }
            "local" => {
                let digest = text(place, "digest");
                let digest = digest.parse::<Digest>();
                let digest =
                    digest.map_err(|_| Status::invalid("local cache importer requires digest"))?;
                let name = format!("local:{}", text(place, "src"));
                let source: Arc<dyn Source> = Arc::new(ClientStore {
                    session: Arc::clone(&self.session),
                    runtime: self.runtime.clone(),
                    name,
                });
                let document = source.digest(digest, cancel);
                let document =
                    document.map_err(|error| Status::of(error.kind(), error.to_string()))?;
                builds.cache_of(source, document, cancel).map_err(told)
            }
            other => {
                let text = format!("cache import of type {other} is not supported");
                Err(Status::unsupported(text))
            }
        }
    }
}

/// A directory of the client, as a source of layers.
struct ClientStore {
    session: Arc<Session>,
    runtime: Handle,
    name: String,
}

impl ClientStore {
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
        if bytes.len() as u64 > MAX_DOCUMENT || Digest::of(&bytes) != digest {
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
