//! What is asked of registries by way of the daemon: `/distribution/*`.

use http::{Method, StatusCode};

use crate::body::{Answer, json};
use crate::call::Call;
use crate::error::Result;
use crate::router::Router;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/distribution/{name..}/json", distribution);
}

async fn distribution(call: Call) -> Result<Answer> {
    let (name, credentials) = (call.param("name"), call.credentials());
    let found = call
        .run(move |engine| engine.registries.distribution(&name, &credentials))
        .await?;
    json(StatusCode::OK, &found)
}
