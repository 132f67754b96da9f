//! Blobs of a repository.

use gantry_types::Digest;
use http::{HeaderValue, StatusCode, header};

use super::manifests::{DIGEST, is_fresh};
use crate::call::{Call, blocking};
use crate::content::{Answer, Content, set, status};
use crate::failure::{Code, Failure, Result};
use crate::file_body::FileBody;
use crate::range::{Asked, asked};
use crate::store::digest;

/// `GET` and `HEAD /v2/<name>/blobs/<digest>`
pub(super) async fn get(call: Call, name: String, text: String) -> Result<Answer> {
    let digest = digest(&text)?;
    let store = &call.app.store;
    let size = store.blob_size(&name, digest)?;
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
            return Err(
                Failure::with(Code::RangeInvalid, "there is nothing in this range")
                    .header(header::CONTENT_RANGE, format!("bytes */{size}")),
            );
        }
    };
    let file = store.content.reader(digest)?;
    let mut answer = described(
        Answer::new(Content::File(FileBody::new(file, offset, length))),
        digest,
    );
    *answer.status_mut() = code;
    if code == StatusCode::PARTIAL_CONTENT {
        let last = offset + length - 1;
        set(
            &mut answer,
            header::CONTENT_RANGE,
            format!("bytes {offset}-{last}/{size}"),
        );
    }
    Ok(answer)
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
