//! Manifests and tags.

use std::sync::Arc;

use gantry_types::{Digest, is_tag};
use http::{HeaderName, StatusCode, header};

use crate::call::{Call, blocking};
use crate::content::{Answer, Content, set, status};
use crate::failure::{Code, Failure, Result};
use crate::manifest;
use crate::metrics::METRICS;
use crate::store::Reference;

/// What the bytes of an answer, or those just pushed, hash to.
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// How many tags a manifest may be given at once.
const MOST_TAGS: usize = 100;

/// `GET` and `HEAD /v2/<name>/manifests/<reference>`
pub(super) async fn get(call: Call, name: String, reference: String) -> Result<Answer> {
    let reference = Reference::parse(&reference)?;
    let found = if call.app.proxy.is_some() {
        let app = Arc::clone(&call.app);
        blocking(move || match &app.proxy {
            Some(proxy) => proxy.manifest(&app.store, &name, &reference),
            None => app.store.manifest(&name, &reference),
        })
        .await?
    } else {
        call.app.store.manifest(&name, &reference)?
    };
    let size = found.bytes.len();
    let mut answer = if is_fresh(&call, found.digest) {
        status(StatusCode::NOT_MODIFIED)
    } else if call.method == http::Method::HEAD {
        let mut answer = status(StatusCode::OK);
        answer
            .headers_mut()
            .insert(header::CONTENT_LENGTH, size.into());
        answer
    } else {
        Answer::new(Content::full(found.bytes))
    };
    let digest = found.digest.to_string();
    set(&mut answer, header::CONTENT_TYPE, found.media_type);
    set(&mut answer, header::ETAG, format!("\"{digest}\""));
    set(&mut answer, DIGEST, digest);
    Ok(answer)
}

/// `PUT /v2/<name>/manifests/<reference>`
pub(super) async fn put(call: Call, name: String, reference: String) -> Result<Answer> {
    let reference = Reference::parse(&reference)?;
    let kind = call.header(header::CONTENT_TYPE).map(str::to_owned);
    let tags = tags(&call, &reference)?;
    let bytes = Call::bytes(call.body, manifest::MAX_SIZE, Code::ManifestInvalid).await?;
    let digest = match &reference {
        Reference::Digest(expected) => expected.like(&bytes),
        Reference::Tag(_) => Digest::of(&bytes),
    };
    if let Reference::Digest(expected) = reference
        && expected != digest
    {
        return Err(Failure::new(Code::DigestInvalid).detail(serde_json::json!({
            "digest": expected.to_string(), "found": digest.to_string()
        })));
    }
    let app = Arc::clone(&call.app);
    let (parsed, name, tags) = blocking(move || {
        let parsed = manifest::parse(&bytes, kind.as_deref())
            .map_err(|reason| Failure::with(Code::ManifestInvalid, reason))?;
        app.store
            .put_manifest(&name, digest, &bytes, &parsed, &tags, true)?;
        Ok((parsed, name, tags))
    })
    .await?;
    METRICS.manifests.add(1);
    let mut answer = status(StatusCode::CREATED);
    set(
        &mut answer,
        header::LOCATION,
        format!("/v2/{name}/manifests/{digest}"),
    );
    set(&mut answer, DIGEST, digest.to_string());
    if let Some(subject) = parsed.subject {
        set(
            &mut answer,
            HeaderName::from_static("oci-subject"),
            subject.to_string(),
        );
    }
    if matches!(reference, Reference::Digest(_)) && !tags.is_empty() {
        set(
            &mut answer,
            HeaderName::from_static("oci-tag"),
            tags.join(", "),
        );
    }
    Ok(answer)
}

/// The tags that a manifest is to have.
fn tags(call: &Call, reference: &Reference) -> Result<Vec<String>> {
    if let Reference::Tag(tag) = reference {
        return Ok(vec![tag.clone()]);
    }
    let tags: Vec<String> = call.query.all("tag").map(str::to_owned).collect();
    if tags.len() > MOST_TAGS {
        let text = format!("more than {MOST_TAGS} tags at once");
        return Err(Failure::with(Code::TagInvalid, text).status(StatusCode::URI_TOO_LONG));
    }
    match tags.iter().find(|tag| !is_tag(tag)) {
        None => Ok(tags),
        Some(wrong) => Err(Failure::new(Code::TagInvalid).detail(wrong.as_str())),
    }
}

/// `DELETE /v2/<name>/manifests/<reference>`
pub(super) async fn delete(call: Call, name: String, reference: String) -> Result<Answer> {
    let reference = Reference::parse(&reference)?;
    blocking(move || call.app.store.delete_manifest(&name, &reference)).await?;
    Ok(status(StatusCode::ACCEPTED))
}

/// Whether the client has these bytes already.
pub(super) fn is_fresh(call: &Call, digest: Digest) -> bool {
    let Some(tags) = call.header(header::IF_NONE_MATCH) else {
        return false;
    };
    let own = digest.to_string();
    tags.split(',')
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == own || tag == "*")
}
