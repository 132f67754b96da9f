//! Blobs on their way in: at once, in chunks, or from another repository.

use std::sync::Arc;
use std::time::Duration;

use gantry_types::Digest;
use http::{HeaderName, StatusCode, header};
use hyper::body::Incoming;

use super::manifests::DIGEST;
use crate::call::{Call, blocking};
use crate::content::{Answer, set, status};
use crate::failure::{Code, Failure, Result};
use crate::metrics::METRICS;
use crate::range;
use crate::receive::receive;
use crate::service::App;
use crate::store::{Partial, Session, digest};

/// How long a request waits for the one before it to give up the upload.
const PATIENCE: Duration = Duration::from_secs(10);

/// `POST /v2/<name>/blobs/uploads/`
pub(super) async fn begin(call: Call, name: String) -> Result<Answer> {
    if let Some(mount) = call.query.get("mount") {
        let digest = digest(mount)?;
        let from = call.query.get("from").map(str::to_owned);
        let (app, into) = (Arc::clone(&call.app), name.clone());
        let who = call.who.clone();
        let mounted = blocking(move || {
            let readable = |name: &str| app.may_pull(&who, name);
            app.store.mount(&into, digest, from.as_deref(), readable)
        });
        if mounted.await? {
            return Ok(created(&name, digest));
        }
    }
    let wanted = call.query.get("digest").map(digest).transpose()?;
    if let Some(algorithm) = call.query.get("digest-algorithm")
        && !["sha256", "sha512"].contains(&algorithm)
    {
        let text = format!(
            "unsupported digest algorithm {algorithm:?}: only sha256 and sha512 are supported"
        );
        return Err(Failure::with(Code::DigestInvalid, text));
    }
    let (app, into) = (Arc::clone(&call.app), name.clone());
    let begun = blocking(move || app.store.uploads.begin(&into, app.settings.max_uploads)).await?;
    match wanted {
        None => Ok(progress(StatusCode::ACCEPTED, &name, &begun.id, 0)),
        Some(digest) => take(call.app, &name, begun, digest, call.body, Resumable::No).await,
    }
}

/// `GET /v2/<name>/blobs/uploads/<id>`
pub(super) async fn status_of(call: Call, name: String, id: String) -> Result<Answer> {
    let session = call.app.store.uploads.find(&name, &id, PATIENCE).await?;
    let (session, size) = counted(session).await?;
    drop(session);
    Ok(progress(StatusCode::NO_CONTENT, &name, &id, size))
}

/// `PATCH /v2/<name>/blobs/uploads/<id>`
pub(super) async fn add(call: Call, name: String, id: String) -> Result<Answer> {
    let session = call.app.store.uploads.find(&name, &id, PATIENCE).await?;
    let (session, size) = counted(session).await?;
    check_chunk(&call, &name, &id, size)?;
    let most = call.app.settings.max_blob;
    let (session, partial, received) = pour(session, call.body, most).await?;
    let size = partial.as_ref().map(Partial::size);
    let mut session = session;
    if let Some(partial) = partial {
        session.close(partial);
    }
    received?;
    let size = size.ok_or_else(|| Failure::new(Code::Unknown))?;
    Ok(progress(StatusCode::ACCEPTED, &name, &id, size))
}

/// `PUT /v2/<name>/blobs/uploads/<id>?digest=<digest>`
pub(super) async fn finish(call: Call, name: String, id: String) -> Result<Answer> {
    let wanted = call
        .query
        .get("digest")
        .ok_or_else(|| Failure::with(Code::DigestInvalid, "the digest is missing"))?;
    let wanted = digest(wanted)?;
    let session = call.app.store.uploads.find(&name, &id, PATIENCE).await?;
    let (session, size) = counted(session).await?;
    check_chunk(&call, &name, &id, size)?;
    take(call.app, &name, session, wanted, call.body, Resumable::Yes).await
}

/// `DELETE /v2/<name>/blobs/uploads/<id>`
pub(super) async fn cancel(call: Call, name: String, id: String) -> Result<Answer> {
    let session = call.app.store.uploads.find(&name, &id, PATIENCE).await?;
    blocking(move || call.app.store.uploads.cancel(session)).await?;
    Ok(status(StatusCode::NO_CONTENT))
}

/// Whether the client has learnt where an upload that was cut can go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resumable {
    Yes,
    No,
}

/// Receives the rest of a blob, and makes it one.
async fn take(
    app: Arc<App>,
    name: &str,
    session: Session,
    wanted: Digest,
    body: Incoming,
    resumable: Resumable,
) -> Result<Answer> {
    let (mut session, partial, received) = pour(session, body, app.settings.max_blob).await?;
    let partial = partial.ok_or_else(|| Failure::new(Code::Unknown))?;
    if let Err(failure) = received {
        session.close(partial);
        if resumable == Resumable::No {
            blocking(move || app.store.uploads.cancel(session)).await?;
        }
        return Err(failure);
    }
    let repository = name.to_owned();
    blocking(move || app.store.finish(&repository, session, partial, wanted)).await?;
    METRICS.blobs.add(1);
    Ok(created(name, wanted))
}

/// Adds a body to an upload.
async fn pour(
    mut session: Session,
    body: Incoming,
    most: u64,
) -> Result<(Session, Option<Partial>, Result<()>)> {
    let (session, partial) = blocking(move || {
        let partial = session.open()?;
        Ok((session, partial))
    })
    .await?;
    let (partial, received) = receive(body, partial, most).await;
    Ok((session, partial, received))
}

/// An upload whose length is known.
async fn counted(mut session: Session) -> Result<(Session, u64)> {
    if let Some(size) = session.size() {
        return Ok((session, size));
    }
    blocking(move || {
        let partial = session.open()?;
        let size = partial.size();
        session.close(partial);
        Ok((session, size))
    })
    .await
}

/// Checks that a chunk begins where the one before has ended, and is as long as it says.
fn check_chunk(call: &Call, name: &str, id: &str, size: u64) -> Result<()> {
    let Some(text) = call.header(header::CONTENT_RANGE) else {
        return Ok(());
    };
    let wrong = |why: &str| {
        Failure::with(Code::RangeInvalid, why)
            .header(header::LOCATION, location(name, id))
            .header(header::RANGE, came(size))
            .header(UUID, id)
    };
    let (first, last) =
        range::chunk(text).ok_or_else(|| wrong("Content-Range is not <first>-<last>"))?;
    if last < first || first != size {
        return Err(wrong(&format!("the next byte to send is {size}")));
    }
    let length = call
        .header(header::CONTENT_LENGTH)
        .and_then(|text| text.parse::<u64>().ok());
    match length {
        Some(length) if length != last - first + 1 => Err(Failure::new(Code::SizeInvalid)),
        _ => Ok(()),
    }
}

/// The id of an upload, as Docker's registry says it too.
const UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

fn location(name: &str, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// What has come, as `Range` says it.
fn came(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn progress(code: StatusCode, name: &str, id: &str, size: u64) -> Answer {
    let mut answer = status(code);
    set(&mut answer, header::LOCATION, location(name, id));
    set(&mut answer, header::RANGE, came(size));
    set(&mut answer, UUID, id);
    answer
}

fn created(name: &str, digest: Digest) -> Answer {
    let mut answer = status(StatusCode::CREATED);
    let digest = digest.to_string();
    set(
        &mut answer,
        header::LOCATION,
        format!("/v2/{name}/blobs/{digest}"),
    );
    set(&mut answer, DIGEST, digest);
    answer
}
