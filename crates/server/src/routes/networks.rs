//! `/networks/*`.

use gantry_api::{ApiVersion, NetworkConnect, NetworkCreate, NetworkDisconnect, NetworkInspect};
use gantry_types::ErrorKind;
use http::{Method, StatusCode};

use crate::body::{Answer, json, no_content};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::router::Router;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/networks", list);
    router.add(Method::GET, "/networks/", list);
    router.add(Method::POST, "/networks/create", create);
    router.add(Method::POST, "/networks/prune", prune);
    router.add(Method::GET, "/gantry/network/explain", explain);
    router.add(Method::GET, "/networks/{id..}", inspect);
    router.add(Method::DELETE, "/networks/{id..}", remove);
    router.add(Method::POST, "/networks/{id..}/connect", connect);
    router.add(Method::POST, "/networks/{id..}/disconnect", disconnect);
}

async fn list(call: Call) -> Result<Answer> {
    let filters = call.query.filters()?;
    let found = call
        .run(move |engine| engine.networks.list(&filters))
        .await?;
    json(StatusCode::OK, &found)
}

async fn explain(call: Call) -> Result<Answer> {
    let of = |name: &str| call.query.owned(name).unwrap_or_default();
    let (port, from) = (of("port"), of("from"));
    let told = call
        .run(move |engine| engine.containers.explain(&port, &from))
        .await?;
    json(StatusCode::OK, &told)
}

async fn inspect(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let local = call
        .query
        .filled("scope")
        .is_none_or(|scope| scope == "local");
    if !local {
        let text = format!("network {id} not found");
        return Err(Failure::new(ErrorKind::NotFound, text));
    }
    let found: NetworkInspect = call.run(move |engine| engine.networks.inspect(&id)).await?;
    json(StatusCode::OK, &found)
}

async fn create(mut call: Call) -> Result<Answer> {
    let body = call.json::<NetworkCreate>().await?;
    let mut body =
        body.ok_or_else(|| Failure::invalid("invalid JSON: got EOF while reading request body"))?;
    if call.version < ApiVersion::new(1, 48) {
        // What clients of then said was not known yet.
        body.enable_ipv4 = None;
    }
    let made = call.run(move |engine| engine.networks.create(body)).await?;
    json(StatusCode::CREATED, &made)
}

async fn remove(call: Call) -> Result<Answer> {
    let id = call.param("id");
    call.run(move |engine| engine.networks.remove(&id)).await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn prune(call: Call) -> Result<Answer> {
    let filters = call.query.filters()?;
    let pruned = call
        .run(move |engine| engine.networks.prune(&filters))
        .await?;
    json(StatusCode::OK, &pruned)
}

async fn connect(mut call: Call) -> Result<Answer> {
    let id = call.param("id");
    let body: NetworkConnect = call.json().await?.unwrap_or_default();
    call.run(move |engine| {
        engine
            .containers
            .connect(&id, &body.container, body.endpoint_config)
    })
    .await?;
    Ok(no_content(StatusCode::OK))
}

async fn disconnect(mut call: Call) -> Result<Answer> {
    let id = call.param("id");
    let body: NetworkDisconnect = call.json().await?.unwrap_or_default();
    call.run(move |engine| {
        engine
            .containers
            .disconnect(&id, &body.container, body.force)
    })
    .await?;
    Ok(no_content(StatusCode::OK))
}
