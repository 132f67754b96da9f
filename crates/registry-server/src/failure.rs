//! What goes wrong, as the distribution spec tells it to clients ("Error
//! codes"). What the disk or the database says goes to the log only.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::content::{Answer, Content};

/// The result of a request.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// The codes of the distribution spec, and those that Docker's registry adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
    TagInvalid,
    PaginationNumberInvalid,
    RangeInvalid,
    Unknown,
}

impl Code {
    /// How it is written, the status that goes with it, and what it means.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BlobUnknown => ("BLOB_UNKNOWN", 404, "blob unknown to registry"),
            Self::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", 400, "blob upload invalid"),
            Self::BlobUploadUnknown => (
                "BLOB_UPLOAD_UNKNOWN",
                404,
                "blob upload unknown to registry",
            ),
            Self::DigestInvalid => (
                "DIGEST_INVALID",
                400,
                "provided digest did not match uploaded content",
            ),
            Self::ManifestBlobUnknown => (
                "MANIFEST_BLOB_UNKNOWN",
                404,
                "manifest references a manifest or blob unknown to registry",
            ),
            Self::ManifestInvalid => ("MANIFEST_INVALID", 400, "manifest invalid"),
            Self::ManifestUnknown => ("MANIFEST_UNKNOWN", 404, "manifest unknown"),
            Self::NameInvalid => ("NAME_INVALID", 400, "invalid repository name"),
            Self::NameUnknown => ("NAME_UNKNOWN", 404, "repository name not known to registry"),
            Self::SizeInvalid => (
                "SIZE_INVALID",
                400,
                "provided length did not match content length",
            ),
            Self::Unauthorized => ("UNAUTHORIZED", 401, "authentication required"),
            Self::Denied => ("DENIED", 403, "requested access to the resource is denied"),
            Self::Unsupported => ("UNSUPPORTED", 405, "The operation is unsupported."),
            Self::TooManyRequests => ("TOOMANYREQUESTS", 429, "too many requests"),
            Self::TagInvalid => ("TAG_INVALID", 400, "manifest tag did not match URI"),
            Self::PaginationNumberInvalid => (
                "PAGINATION_NUMBER_INVALID",
                400,
                "invalid number of results requested",
            ),
            Self::RangeInvalid => ("RANGE_INVALID", 416, "invalid content range"),
            Self::Unknown => ("UNKNOWN", 500, "unknown error"),
        }
    }
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    code: Code,
    message: String,
    detail: Option<Box<serde_json::Value>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// A failure with its code's own words.
    pub(crate) fn new(code: Code) -> Self {
        let (_, status, message) = code.row();
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            message: message.to_owned(),
            detail: None,
            headers: Vec::new(),
        }
    }

    /// A failure with words of its own.
    pub(crate) fn with(code: Code, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::new(code)
        }
    }

    /// Says what exactly is meant.
    pub(crate) fn detail(mut self, detail: impl Into<serde_json::Value>) -> Self {
        self.detail = Some(Box::new(detail.into()));
        self
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header; a value that cannot be one is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    /// A failure of the disk: a full one is told, anything else is for the log.
    pub(crate) fn disk(operation: &str, error: &std::io::Error) -> Self {
        tracing::error!(%error, operation, "the disk");
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::full(),
            _ => Self::new(Code::Unknown),
        }
    }

    fn full() -> Self {
        Self::with(Code::Unknown, "the registry has no space left")
            .status(StatusCode::INSUFFICIENT_STORAGE)
    }

    /// What is told of it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The answer that tells it.
    pub(crate) fn into_answer(self) -> Answer {
        let mut error = serde_json::json!({
            "code": self.code.row().0,
            "message": self.message,
        });
        if let Some(detail) = self.detail {
            error["detail"] = *detail;
        }
        let text = serde_json::json!({ "errors": [error] }).to_string() + "\n";
        let mut answer = Answer::new(Content::full(Bytes::from(text)));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        let kind = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.extend(self.headers);
        answer
    }
}

impl From<gantry_metadata::Error> for Failure {
    fn from(error: gantry_metadata::Error) -> Self {
        tracing::error!(%error, "the database");
        match error {
            gantry_metadata::Error::Full { .. } => Self::full(),
            _ => Self::new(Code::Unknown),
        }
    }
}

impl From<gantry_content::Error> for Failure {
    fn from(error: gantry_content::Error) -> Self {
        use gantry_content::Error;
        match error {
            Error::Disk {
                operation, source, ..
            } => Self::disk(operation, &source),
            Error::Metadata(error) => error.into(),
            Error::NotFound(digest) => Self::new(Code::BlobUnknown).detail(digest.to_string()),
            Error::WrongDigest { .. } => Self::new(Code::DigestInvalid),
            Error::WrongSize { .. } => Self::new(Code::SizeInvalid),
            // Only downloads are ever busy, and only images share their syncs.
            Error::Busy(_) | Error::MayBeLost => Self::new(Code::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_failure_is_the_spec_s_json() {
        let failure = Failure::new(Code::NameUnknown).detail("a/b");
        let answer = failure.into_answer();
        assert_eq!(answer.status(), 404);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"][0]["code"], "NAME_UNKNOWN");
        assert_eq!(body["errors"][0]["detail"], "a/b");
    }

    #[test]
    fn a_full_disk_is_told() {
        let full = std::io::Error::from_raw_os_error(28);
        assert_eq!(Failure::disk("write", &full).status, 507);
    }
}
