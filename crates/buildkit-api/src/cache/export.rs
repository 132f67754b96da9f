//! Results of a build to where others find them.

use std::sync::Arc;
use std::time::SystemTime;

use gantry_engine::{CacheExport, Destination, Solved as Built};
use gantry_image::Bundle;
use gantry_types::Reference;
use tokio::runtime::Handle;

use super::Place;
use crate::BuildKit;
use crate::builds::Build;
use crate::exports::client_store::Content;
use crate::exports::form;
use crate::frontend::{self, Solved};
use crate::progress::Vertex;
use crate::session::{self, Session};
use crate::status::Status;
use crate::truth;

/// What is told of a cache that was exported.
const RESPONSE: &str = "cache.manifest";

/// Where a cache goes, and how.
#[derive(Debug, Clone)]
pub(super) struct Export {
    to: Target,
    how: CacheExport,
    ignore_error: bool,
}

#[derive(Debug, Clone)]
enum Target {
    /// The images say it themselves.
    Inline,
    Registry(Reference, bool),
    /// One of the client's stores.
    Client(String),
}

impl Export {
    pub(super) fn of(place: &Place) -> Result<Self, Status> {
        let invalid = |text: &str| Status::invalid(text.to_owned());
        let mut known = vec!["mode", "ignore-error"];
        let text = |key: &str| place.attributes.get(key).map(String::as_str);
        let to = match place.kind.as_str() {
            "inline" => Target::Inline,
            "registry" => {
                known.extend(["ref", "registry.insecure"]);
                let name = text("ref").unwrap_or_default();
                let reference = name.parse::<Reference>();
                let reference = reference
                    .map_err(|error| Status::invalid(format!("failed to parse {name}: {error}")))?;
                Target::Registry(
                    reference.or_latest(),
                    truth(place, "registry.insecure", false)?,
                )
            }
            "local" => {
                known.extend(["dest", "tag"]);
                let to = text("dest").filter(|to| !to.is_empty());
                let to = to.ok_or_else(|| invalid("local cache exporter requires dest"))?;
                Target::Client(format!("local:{to}"))
            }
            "gha" | "s3" | "azblob" => {
                let text = format!("cache export of type {} is not supported", place.kind);
                return Err(Status::unsupported(text));
            }
            other => {
                let text = format!("unknown cache exporter: {other:?}");
                return Err(Status::invalid(text));
            }
        };
        if !matches!(to, Target::Inline) {
            known.extend(["compression", "compression-level", "force-compression"]);
            known.extend(["oci-mediatypes", "image-manifest"]);
        }
        let mut keys = place.attributes.keys();
        if let Some(key) = keys.find(|key| !known.contains(&key.as_str())) {
            return Err(Status::unsupported(format!(
                "attribute {key} of cache export {} is not supported",
                place.kind
            )));
        }
        let all = match text("mode").unwrap_or("min") {
            "min" => false,
            "max" => true,
            other => return Err(Status::invalid(format!("invalid cache mode {other:?}"))),
        };
        let oci = truth(place, "oci-mediatypes", true)?;
        let image_manifest = truth(place, "image-manifest", oci)?;
        if image_manifest && !oci {
            return Err(invalid(
                "invalid configuration for remote cache, OCI mediatypes are required for \
                 image-manifest cache format",
            ));
        }
        Ok(Self {
            to,
            how: CacheExport {
                all,
                docker_types: !oci,
                image_manifest,
                packing: form::packing(&place.attributes)?,
            },
            ignore_error: truth(place, "ignore-error", false)?,
        })
    }

    fn name(&self) -> &'static str {
        match self.to {
            Target::Inline => "preparing layers for inline cache",
            Target::Registry(..) => "exporting cache to registry",
            Target::Client(_) => "exporting cache to client directory",
        }
    }
}

fn truth(place: &Place, key: &str, usual: bool) -> Result<bool, Status> {
    let mut found = usual;
    if let Some(value) = place.attributes.get(key) {
        truth::flag(key, value, &mut found)?;
    }
    Ok(found)
}

/// Exports the results of a build to all places but its images; what clients are told.
///
/// # Errors
/// Those of registries and of the session, unless a place says that they do not matter.
pub(crate) async fn export(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    solved: &Arc<Solved>,
    places: &[Place],
) -> Result<Option<(String, String)>, Status> {
    let mut response = None;
    for (number, place) in places.iter().enumerate() {
        let export = Export::of(place)?;
        if matches!(export.to, Target::Inline) || !solved.has_files() {
            continue;
        }
        let name = export.name();
        let vertex = Vertex::of(&build.id, &format!("{name}{number}"), name.to_owned());
        let work = Work {
            service: Arc::clone(service),
            build: Arc::clone(build),
            session: session::find(&service.sessions, &build.session).await?,
            runtime: Handle::current(),
            vertex: vertex.digest.clone(),
        };
        let (solved, ignored) = (Arc::clone(solved), export.ignore_error);
        let done = async move {
            let done = tokio::task::spawn_blocking(move || {
                let parts = solved.parts().iter().map(|image| &image.built);
                work.run(&parts.collect::<Vec<_>>(), &export)
            });
            done.await
                .map_err(|error| Status::internal(error.to_string()))?
        };
        match build.progress.step(vertex, done).await {
            Ok(told) => response = told.or(response),
            Err(status) if ignored => tracing::warn!(%status, "a cache could not be exported"),
            Err(status) => return Err(status),
        }
    }
    Ok(response.map(|told| (RESPONSE.to_owned(), told)))
}

/// A cache on its way.
struct Work {
    service: Arc<BuildKit>,
    build: Arc<Build>,
    session: Arc<Session>,
    runtime: Handle,
    vertex: String,
}

impl Work {
    fn run(&self, of: &[&Built], export: &Export) -> Result<Option<String>, Status> {
        let told = |error: gantry_engine::Error| Status::of(error.kind(), error.to_string());
        let builds = &self.service.engine.builds;
        let began = SystemTime::now();
        let Some(bundle) = builds.cache_bundle(of, &export.how).map_err(told)? else {
            self.did("skipping cache export for empty result", began);
            return Ok(None);
        };
        self.did("preparing build cache for export", began);
        let began = SystemTime::now();
        match &export.to {
            Target::Registry(reference, insecure) => {
                let ask = frontend::credentials(&self.runtime, &self.session);
                let to = Destination {
                    reference,
                    insecure: *insecure,
                    credentials: (ask)(reference.domain()),
                };
                let cancel = &self.build.cancel;
                builds
                    .push(&bundle, to, cancel, &mut |_, _, _| {})
                    .map_err(|error| {
                        let text = format!("error writing cache to {reference}: {error}");
                        Status::of(error.kind(), text)
                    })?;
            }
            Target::Client(store) => self.give(&bundle, store)?,
            Target::Inline => {}
        }
        self.did(
            &format!("writing cache manifest {}", bundle.root().digest),
            began,
        );
        let mut root = bundle.root().clone();
        root.platform = None;
        let root = serde_json::to_string(&root);
        root.map(Some)
            .map_err(|error| Status::internal(format!("a descriptor: {error}")))
    }

    fn give(&self, bundle: &Bundle, store: &str) -> Result<(), Status> {
        let content = Content::new(&self.session, &self.runtime, store);
        let layers = self.service.engine.builds.store();
        let mut files = bundle.files().into_iter();
        files.try_for_each(|file| content.put(layers, &file))
    }

    fn did(&self, name: &str, began: SystemTime) {
        self.build.progress.did(&self.vertex, name, began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(kind: &str, attributes: &[(&str, &str)]) -> Result<Export, Status> {
        let attributes = attributes.iter();
        Export::of(&Place {
            kind: kind.to_owned(),
            attributes: attributes
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        })
    }

    #[test]
    fn places_are_understood_or_named() {
        let to = export("registry", &[("ref", "h:1/a"), ("mode", "max")]).unwrap();
        assert!(to.how.all && to.how.image_manifest && !to.how.docker_types);
        let to = export("local", &[("dest", "d"), ("image-manifest", "false")]).unwrap();
        assert!(matches!(to.to, Target::Client(name) if name == "local:d"));
        assert!(!to.how.image_manifest && !to.how.all);
        for (kind, attributes) in [
            ("gha", vec![]),
            ("registry", vec![]),
            ("local", vec![]),
            ("inline", vec![("compression", "gzip")]),
            ("registry", vec![("ref", "a"), ("mode", "some")]),
            ("registry", vec![("ref", "a"), ("other", "x")]),
            (
                "registry",
                vec![
                    ("ref", "a"),
                    ("oci-mediatypes", "false"),
                    ("image-manifest", "true"),
                ],
            ),
        ] {
            assert!(export(kind, &attributes).is_err(), "{kind} {attributes:?}");
        }
    }
}
