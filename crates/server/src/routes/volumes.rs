//! `/volumes/*`.

use gantry_api::{ApiVersion, VolumeCopy, VolumeCreate};
use gantry_engine::VolumeCopyKind;
use gantry_types::ErrorKind;
use gantry_types::sort::IntoMap;
use http::{Method, StatusCode};

use crate::body::{Answer, json, no_content, with_type};
use crate::call::Call;
use crate::download::{archive, on_a_thread, send};
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
    router.add(Method::POST, "/gantry/volumes/{name}/clone", clone);
    router.add(Method::POST, "/gantry/volumes/{name}/snapshot", snapshot);
    router.add(Method::GET, "/gantry/volumes/{name}/export", export);
    router.add(Method::POST, "/gantry/volumes/{name}/import", import);
    router.add(Method::POST, "/gantry/volumes/{name}/rename", rename);
    router.add(Method::PUT, "/volumes/{name}", |_| async {
        Err(Failure::new(ErrorKind::Unavailable, CLUSTER))
    });
}

async fn clone(call: Call) -> Result<Answer> {
    copy(call, VolumeCopyKind::Clone).await
}

async fn snapshot(call: Call) -> Result<Answer> {
    copy(call, VolumeCopyKind::Snapshot).await
}

async fn copy(mut call: Call, kind: VolumeCopyKind) -> Result<Answer> {
    let body: Option<VolumeCopy> = call.json().await?;
    let body = body.unwrap_or_default();
    let (name, pause) = (call.param("name"), wants_pause(&call));
    let engine = call.state.engine().await?;
    let volume = on_a_thread("volume-copy", engine, move |engine| {
        engine.containers.copy_volume(&name, &body, kind, pause)
    });
    json(StatusCode::CREATED, &volume.await?)
}

/// Whether containers stand still, which they do when nothing is said.
fn wants_pause(call: &Call) -> bool {
    call.query.get("pause").is_none() || call.query.flag("pause")
}

async fn export(call: Call) -> Result<Answer> {
    let (name, pause) = (call.param("name"), wants_pause(&call));
    let engine = call.state.engine().await?;
    let ((), content) = archive("volume-export", move |begin, pieces| {
        let mut begin = Some(begin);
        let mut failed = None;
        send(&pieces, |push| {
            let started = || begin.take().is_some_and(|begin| begin.say(()));
            let done = engine.containers.export_volume(&name, pause, started, push);
            match (done, begin.is_some()) {
                // Nothing has been said yet: it can be told as it should be.
                (Err(error), true) => {
                    failed = Some(error);
                    Ok(())
                }
                (done, _) => done,
            }
        });
        if let (Some(begin), Some(error)) = (begin, failed) {
            begin.fail(error);
        }
    })
    .await?;
    Ok(with_type(StatusCode::OK, "application/x-tar", content))
}

async fn import(mut call: Call) -> Result<Answer> {
    let name = call.param("name");
    let labels = call.query.all("label").map(|label| {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        (key.to_owned(), value.to_owned())
    });
    let labels = labels.into_map();
    let engine = call.state.engine().await?;
    let reader = call.reader();
    let volume = on_a_thread("volume-import", engine, move |engine| {
        engine.containers.import_volume(&name, labels, reader)
    });
    json(StatusCode::CREATED, &volume.await?)
}

async fn rename(call: Call) -> Result<Answer> {
    let (old, new) = (
        call.param("name"),
        call.query.owned("name").unwrap_or_default(),
    );
    call.run(move |engine| engine.containers.rename_volume(&old, &new))
        .await?;
    Ok(no_content(StatusCode::NO_CONTENT))
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
