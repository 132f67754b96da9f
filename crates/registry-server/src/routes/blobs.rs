//! Blobs of a repository.

use std::sync::Arc;

use gantry_types::Digest;
use http::{HeaderValue, StatusCode, header};

use super::manifests::{DIGEST, is_fresh};
use crate::call::{Call, blocking};
use crate::content::{Answer, Content, set, status};
use crate::failure::{Code, Failure, Result};
use crate::file_body::FileBody;
use crate::metrics::METRICS;
use crate::proxy::Fetch;
use crate::range::{Asked, asked};
use crate::store::digest;

/// `GET` and `HEAD /v2/<name>/blobs/<digest>`
pub(super) async fn get(call: Call, name: String, text: String) -> Result<Answer> {
    let digest = digest(&text)?;
    let source = find(&call, &name, digest).await?;
    let size = source.size();
    if is_fresh(&call, digest) {
        return Ok(described(status(StatusCode::NOT_MODIFIED), digest));
    }
    if call.method == http::Method::HEAD {
        let mut answer = described(status(StatusCode::OK), digest);
        answer
            .headers_mut()
            .insert(header::CONTENT_LENGTH, size.into());
        return Ok(answer);
    }
    let matches = call
        .header(header::IF_RANGE)
        .is_none_or(|tag| tag == format!("\"{digest}\""));
    let range = call.header(header::RANGE).filter(|_| matches);
    let (code, offset, length) = match asked(range, size) {
        Asked::All => (StatusCode::OK, 0, size),
        Asked::Part { offset, length } => (StatusCode::PARTIAL_CONTENT, offset, length),
        Asked::Nothing => {
            let text = "there is nothing in this range";
            return Err(Failure::with(Code::RangeInvalid, text)
                .header(header::CONTENT_RANGE, format!("bytes */{size}")));
        }
    };
    let body = match source {
        Source::Coming(fetch) => fetch.body(offset, length),
        Source::Here(_) | Source::There(_) => {
            let file = call.app.store.content.reader(digest)?;
            Content::File(FileBody::new(file, offset, length))
        }
    };
    let mut answer = described(Answer::new(body), digest);
    *answer.status_mut() = code;
    if code == StatusCode::PARTIAL_CONTENT {
        let last = offset + length - 1;
        let range = format!("bytes {offset}-{last}/{size}");
        set(&mut answer, header::CONTENT_RANGE, range);
    }
    Ok(answer)
}

/// Where a blob is, and how long it is.
enum Source {
    Here(u64),
    /// In the registry that this one is a cache of; only its length was asked for.
    There(u64),
    /// On its way from there.
    Coming(Arc<Fetch>),
}

impl Source {
    fn size(&self) -> u64 {
        match self {
            Self::Here(size) | Self::There(size) => *size,
            Self::Coming(fetch) => fetch.size,
        }
    }
}

async fn find(call: &Call, name: &str, digest: Digest) -> Result<Source> {
    let here = call.app.store.blob_size(name, digest);
    let missing = match here {
        Ok(size) => {
            if call.app.proxy.is_some() {
                METRICS.hits.add(1);
            }
            return Ok(Source::Here(size));
        }
        Err(failure) => failure,
    };
    if call.app.proxy.is_none() || missing.status != StatusCode::NOT_FOUND {
        return Err(missing);
    }
    let (app, name) = (Arc::clone(&call.app), name.to_owned());
    let only_size = call.method == http::Method::HEAD;
    blocking(move || match &app.proxy {
        Some(proxy) if only_size => proxy.blob_size(&name, digest).map(Source::There),
        Some(proxy) => proxy.fetch(&app, &name, digest).map(Source::Coming),
        None => Err(missing),
    })
    .await
}

/// `DELETE /v2/<name>/blobs/<digest>`
pub(super) async fn delete(call: Call, name: String, text: String) -> Result<Answer> {
    let digest = digest(&text)?;
    blocking(move || call.app.store.delete_blob(&name, digest)).await?;
    Ok(status(StatusCode::ACCEPTED))
}

/// What is said of a blob beside its bytes.
fn described(mut answer: Answer, digest: Digest) -> Answer {
    let text = digest.to_string();
    set(&mut answer, header::ETAG, format!("\"{text}\""));
    set(&mut answer, DIGEST, text);
    let headers = answer.headers_mut();
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let forever = HeaderValue::from_static("max-age=31536000");
    headers.insert(header::CACHE_CONTROL, forever);
    answer
}
