//! Images that come in: `POST /images/create` (pull and import) and
//! `POST /images/load`.

use gantry_engine::ImportQuery;
use gantry_types::Platform;
use http::Method;

use crate::body::Answer;
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::fetch;
use crate::router::Router;
use crate::stream;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/images/create", create);
    router.add(Method::POST, "/images/load", load);
}

async fn create(mut call: Call) -> Result<Answer> {
    let platform = platform(&call)?;
    let engine = call.state.engine().await?;
    if let Some(image) = call.query.owned("fromImage") {
        let tag = call.query.owned("tag");
        return stream::answer("pull", move |progress| {
            engine
                .images
                .pull(&image, tag.as_deref(), platform.as_ref(), &mut |message| {
                    progress.tell(message)
                })
        })
        .await;
    }
    let query = ImportQuery {
        source: call.query.get("fromSrc").unwrap_or("").to_owned(),
        repo: call.query.owned("repo").unwrap_or_default(),
        tag: call.query.owned("tag").unwrap_or_default(),
        message: call.query.owned("message"),
        changes: call.query.all("changes").map(str::to_owned).collect(),
        platform,
    };
    let reader = match query.source.as_str() {
        "" | "-" => call.reader(),
        url => fetch::open(url).await?,
    };
    stream::answer("import", move |progress| {
        engine
            .images
            .import(reader, &query, &mut |message| progress.tell(message))
    })
    .await
}

/// As Docker's, it fails with a message only: SDKs look for it there.
async fn load(mut call: Call) -> Result<Answer> {
    let quiet = call.query.flag("quiet");
    let engine = call.state.engine().await?;
    let reader = call.reader();
    stream::answer("load", move |progress| {
        let loaded = engine
            .images
            .load(reader, quiet, &mut |message| progress.tell(message));
        if let Err(error) = loaded {
            progress.fail(error);
        }
        Ok(())
    })
    .await
}

/// The `platform` of the query: `os[/arch[/variant]]`.
pub(super) fn platform(call: &Call) -> Result<Option<Platform>> {
    call.query
        .filled("platform")
        .map(str::parse)
        .transpose()
        .map_err(|error: gantry_types::PlatformError| Failure::invalid(error.to_string()))
}
