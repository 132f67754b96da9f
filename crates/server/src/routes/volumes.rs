//! `/volumes/*`.

use gantry_api::{ApiVersion, VolumeCreate};
use gantry_types::ErrorKind;
use http::{Method, StatusCode};

use crate::body::{Answer, json, no_content};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::router::Router;

/// Volumes of swarms, which a node that is in none does not have.
const CLUSTER: &str = "volume update only valid for cluster volumes, but swarm is unavailable";

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/volumes", list);
    router.add(Method::POST, "/volumes/create", create);
    router.add(Method::POST, "/volumes/prune", prune);
    router.add(Method::GET, "/volumes/{name}", inspect);
    router.add(Method::DELETE, "/volumes/{name}", remove);
    router.add(Method::PUT, "/volumes/{name}", |_| async {
        Err(Failure::new(ErrorKind::Unavailable, CLUSTER))
    });
}

async fn list(call: Call) -> Result<Answer> {
    let filters = call.query.filters()?;
    let found = call
        .run(move |engine| engine.volumes.list(&filters))
        .await?;
    json(StatusCode::OK, &found)
}

async fn create(mut call: Call) -> Result<Answer> {
    let body: Option<VolumeCreate> = call.json().await?;
    let body = body.unwrap_or_default();
    if body.cluster_volume_spec.is_some() {
        return Err(Failure::new(ErrorKind::Unavailable, CLUSTER));
    }
    let volume = call.run(move |engine| engine.volumes.create(&body)).await?;
    json(StatusCode::CREATED, &volume)
}

async fn inspect(call: Call) -> Result<Answer> {
    let name = call.param("name");
    let volume = call
        .run(move |engine| engine.volumes.inspect(&name))
        .await?;
    json(StatusCode::OK, &volume)
}

async fn remove(call: Call) -> Result<Answer> {
    let (name, force) = (call.param("name"), call.query.flag("force"));
    call.run(move |engine| engine.volumes.remove(&name, force))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn prune(call: Call) -> Result<Answer> {
    let mut filters = call.query.filters()?;
    if call.version < ApiVersion::new(1, 42) && !filters.contains("all") {
        // Until then those with a name went as well.
        filters.add("all", "true");
    }
    let pruned = call
        .run(move |engine| engine.volumes.prune(&filters))
        .await?;
    json(StatusCode::OK, &pruned)
}
