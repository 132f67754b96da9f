//! `_ping`, `version`, `info`, and `plugins`, of which there are none.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::body::{Answer, Content, json, no_content, with_type};
use crate::call::Call;
use crate::error::Result;
use crate::router::Router;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/_ping", ping);
    router.add(Method::HEAD, "/_ping", ping_head);
    router.add(Method::GET, "/version", version);
    router.add(Method::GET, "/info", info);
    router.add(Method::GET, "/plugins", plugins);
    router.add(Method::OPTIONS, "/{any..}", options);
}

async fn ping(_: Call) -> Result<Answer> {
    let text = "text/plain; charset=utf-8";
    let mut answer = with_type(StatusCode::OK, text, Content::full("OK"));
    add_ping_headers(answer.headers_mut());
    Ok(answer)
}

async fn ping_head(_: Call) -> Result<Answer> {
    let text = "text/plain; charset=utf-8";
    let mut answer = with_type(StatusCode::OK, text, Content::empty());
    add_ping_headers(answer.headers_mut());
    let none = HeaderValue::from_static("0");
    answer.headers_mut().insert(header::CONTENT_LENGTH, none);
    Ok(answer)
}

fn add_ping_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        ("builder-version", "1"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
        ("swarm", "inactive"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

async fn version(call: Call) -> Result<Answer> {
    let version = call.run(|engine| Ok(engine.system.version())).await?;
    json(StatusCode::OK, &version)
}

async fn info(call: Call) -> Result<Answer> {
    let info = call.run(|engine| engine.system.info()).await?;
    json(StatusCode::OK, &info)
}

/// Clients take a missing route for a broken engine.
async fn plugins(_: Call) -> Result<Answer> {
    json(StatusCode::OK, &[(); 0])
}

async fn options(_: Call) -> Result<Answer> {
    Ok(no_content(StatusCode::OK))
}
