//! Where a build looks for results that others have made. Whatever is wrong there is
//! told, and the build goes on without.

use std::sync::Arc;

use gantry_build::Imports;
use gantry_engine::CacheOrigin;
use gantry_registry::Credentials;
use gantry_types::{Digest, Reference};
use tokio::runtime::Handle;

use super::Place;
use crate::BuildKit;
use crate::builds::Build;
use crate::client_source::ClientStore;
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
                let source = ClientStore::of(&self.session, &self.runtime, name);
                let document = source.digest(digest, cancel);
                let document =
                    document.map_err(|error| Status::of(error.kind(), error.to_string()))?;
                builds.cache_of(source, document, cancel).map_err(told)
            }
            "gha" | "s3" | "azblob" => {
                let text = format!("cache import of type {} is not supported", place.kind);
                Err(Status::unsupported(text))
            }
            other => {
                let text = format!("unknown cache importer: {other}");
                Err(Status::invalid(text))
            }
        }
    }
}
