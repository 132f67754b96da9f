//! An image in the engine's own store.

use std::sync::Arc;
use std::time::SystemTime;

use gantry_types::Reference;

use super::{Exporter, Response};
use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::Solved;
use crate::progress::{Progress, Task};
use crate::status::Status;

/// What is understood; a push is the client's own call of the Engine API.
pub(super) const ATTRIBUTES: &[&str] = &["name", "push", "unpack", "store", "buildinfo-attrs"];

pub(super) async fn export(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    solved: &Arc<Solved>,
    exporter: &Exporter,
) -> Result<Response, Status> {
    let name = exporter.attributes.get("name").cloned().unwrap_or_default();
    let (references, names) = references(&name)?;
    let vertex = exporter.vertex(build, "exporting to image");
    let digest = vertex.digest.clone();
    let progress = build.progress.clone();
    let (service, solved) = (Arc::clone(service), Arc::clone(solved));
    let name = names.join(",");
    let export = async move {
        let done = tokio::task::spawn_blocking(move || {
            let Some(built) = solved.build() else {
                return Err(Status::internal("a result without an image"));
            };
            let began = SystemTime::now();
            let committed = service.engine.builds.commit(built, &references);
            let id = committed
                .map_err(|error| Status::of(error.kind(), error.to_string()))?
                .to_string();
            did(&progress, &digest, "exporting layers", began);
            did(
                &progress,
                &digest,
                &format!("writing image {id}"),
                SystemTime::now(),
            );
            for name in &names {
                did(
                    &progress,
                    &digest,
                    &format!("naming to {name}"),
                    SystemTime::now(),
                );
            }
            Ok(id)
        });
        done.await
            .map_err(|error| Status::internal(error.to_string()))?
    };
    let id = build.progress.step(vertex, export).await?;
    let mut response = Response::from([
        ("containerimage.config.digest".to_owned(), id.clone()),
        ("containerimage.digest".to_owned(), id),
    ]);
    if !name.is_empty() {
        response.insert("image.name".to_owned(), name);
    }
    Ok(response)
}

/// The names of the image, and how they are told of: in full, but as they were given.
fn references(names: &str) -> Result<(Vec<Reference>, Vec<String>), Status> {
    let names = names.split(',').filter(|name| !name.is_empty());
    let reference = |name: &str| {
        let parsed = name.parse::<Reference>();
        let parsed =
            parsed.map_err(|error| Status::invalid(format!("failed to parse {name}: {error}")))?;
        let shown = parsed.to_string();
        Ok((parsed.or_latest(), shown))
    };
    names.map(reference).collect()
}

fn did(progress: &Progress, vertex: &str, name: &str, began: SystemTime) {
    let task = Task {
        name: name.to_owned(),
        started: Some(began),
        completed: Some(SystemTime::now()),
        ..Task::default()
    };
    progress.task(vertex, &task);
}
