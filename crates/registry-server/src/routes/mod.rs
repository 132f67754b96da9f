//! The endpoints: those of the distribution spec, and search.

mod blobs;
mod lists;
mod manifests;
mod search;
mod uploads;

use http::{Method, header};

use crate::call::Call;
use crate::content::{self, Answer};
use crate::failure::{Code, Failure, Result};
use crate::target::Target;

/// Answers a request that may be made.
///
/// # Errors
/// Those of the endpoint.
pub(crate) async fn answer(call: Call, target: Target) -> Result<Answer> {
    let method = call.method.clone();
    match (target, method.as_str()) {
        (Target::Base, "GET" | "HEAD") => Ok(content::json(&serde_json::json!({}))),
        (Target::Catalog, "GET") => lists::catalog(&call),
        (Target::Tags(name), "GET") => lists::tags(&call, &name).await,
        (Target::Referrers(name, digest), "GET") => lists::referrers(&call, &name, &digest),
        (Target::Manifest(name, reference), "GET" | "HEAD") => {
            manifests::get(call, name, reference).await
        }
        (Target::Manifest(name, reference), "PUT") => manifests::put(call, name, reference).await,
        (Target::Manifest(name, reference), "DELETE") => {
            manifests::delete(call, name, reference).await
        }
        (Target::Blob(name, digest), "GET" | "HEAD") => blobs::get(call, name, digest).await,
        (Target::Blob(name, digest), "DELETE") => blobs::delete(call, name, digest).await,
        (Target::Uploads(name), "POST") => uploads::begin(call, name).await,
        (Target::Upload(name, id), "GET" | "HEAD") => uploads::status_of(call, name, id).await,
        (Target::Upload(name, id), "PATCH") => uploads::add(call, name, id).await,
        (Target::Upload(name, id), "PUT") => uploads::finish(call, name, id).await,
        (Target::Upload(name, id), "DELETE") => uploads::cancel(call, name, id).await,
        (Target::Search, "GET") => search::answer(&call),
        (Target::About(name), "GET") => search::about(&call, &name),
        (Target::Description(name), "PUT") => search::describe(call, name).await,
        (Target::Star(name), "PUT") => search::star(call, name, true).await,
        (Target::Star(name), "DELETE") => search::star(call, name, false).await,
        (Target::Metrics, "GET") => crate::metrics::answer(&call.app.store),
        (target, _) => Err(not_allowed(&target, &method)),
    }
}

fn not_allowed(target: &Target, method: &Method) -> Failure {
    let allowed = match target {
        Target::Base => "GET, HEAD",
        Target::Catalog
        | Target::Tags(_)
        | Target::Referrers(..)
        | Target::Search
        | Target::About(_)
        | Target::Metrics => "GET",
        Target::Description(_) => "PUT",
        Target::Star(_) => "PUT, DELETE",
        Target::Manifest(..) => "GET, HEAD, PUT, DELETE",
        Target::Blob(..) => "GET, HEAD, DELETE",
        Target::Uploads(_) => "POST",
        Target::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
    };
    Failure::with(Code::Unsupported, format!("{method} is not supported here"))
        .header(header::ALLOW, allowed)
}
