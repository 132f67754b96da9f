//! What is asked of registries by way of the daemon: `/auth`,
//! `/distribution/*`, `/images/search`.

use gantry_api::AuthConfig;
use http::{Method, StatusCode};

use crate::body::{Answer, json};
use crate::call::Call;
use crate::credentials;
use crate::error::{Failure, Result};
use crate::router::Router;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/auth", login);
    router.add(Method::GET, "/images/search", search);
    router.add(Method::GET, "/distribution/{name..}/json", distribution);
}

async fn login(mut call: Call) -> Result<Answer> {
    let config: AuthConfig = call.json().await?.unwrap_or_default();
    let server = config.server_address.clone();
    let credentials = credentials::of_config(config);
    let answer = call
        .run(move |engine| engine.registries.login(&server, &credentials))
        .await?;
    json(StatusCode::OK, &answer)
}

async fn search(call: Call) -> Result<Answer> {
    let wrong = |failure: Failure| {
        Failure::invalid(format!("invalid limit specified: {}", failure.message))
    };
    let limit = call.query.number("limit").map_err(wrong)?.unwrap_or(0);
    let term = call.query.get("term").unwrap_or("").to_owned();
    let filters = call.query.filters()?;
    let credentials = call.credentials();
    let found = call
        .run(move |engine| {
            let registries = &engine.registries;
            registries.search(&term, limit, &filters, &credentials)
        })
        .await?;
    json(StatusCode::OK, &found)
}

async fn distribution(call: Call) -> Result<Answer> {
    let (name, credentials) = (call.param("name"), call.credentials());
    let found = call
        .run(move |engine| engine.registries.distribution(&name, &credentials))
        .await?;
    json(StatusCode::OK, &found)
}
