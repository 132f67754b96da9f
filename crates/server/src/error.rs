//! Failures and the status codes they have: the only place that knows both.

use gantry_api::{ErrorBody, FilterError};
use gantry_types::ErrorKind;
use http::{HeaderValue, StatusCode, header};

use crate::body::{Answer, Content, with_type};
use crate::hijack::RAW;

/// Why a request got no answer of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// Whether it is told as plain text, by code that comes before the API.
    pub(crate) plain: bool,
}

/// The result of a handler.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            status: status_of(kind),
            message: message.into(),
            plain: false,
        }
    }

    /// One that is told as plain text.
    pub(crate) fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            plain: true,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn page_not_found() -> Self {
        Self::new(ErrorKind::NotFound, "page not found")
    }

    /// The answer of routes whose clients expect a stream: plain text.
    pub(crate) fn into_plain_answer(self) -> Answer {
        let text = format!("{}\r\n", self.message);
        let mut answer = with_type(self.status, RAW, Content::full(text));
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        answer
    }

    /// The answer that tells the client.
    pub(crate) fn into_answer(self) -> Answer {
        let Self {
            status,
            message,
            plain,
        } = self;
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %message, "a request failed");
        } else {
            tracing::debug!(status = status.as_u16(), error = %message, "a request was refused");
        }
        let mut answer = if status == StatusCode::NOT_MODIFIED {
            http::Response::new(Content::empty())
        } else if plain {
            let text = Content::full(format!("{message}\n"));
            with_type(status, "text/plain; charset=utf-8", text)
        } else {
            let mut text = serde_json::to_vec(&ErrorBody::new(message)).unwrap_or_default();
            text.push(b'\n');
            let mut answer = http::Response::new(Content::full(text));
            let json = HeaderValue::from_static("application/json");
            answer.headers_mut().insert(header::CONTENT_TYPE, json);
            answer
        };
        *answer.status_mut() = status;
        answer
    }
}

/// The status code of a class of errors.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Cancelled | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<gantry_engine::Error> for Failure {
    fn from(error: gantry_engine::Error) -> Self {
        Self::new(error.kind(), with_causes(&error))
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        Self::invalid(error.to_string())
    }
}

/// The text of an error and of those below it that it does not repeat itself.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_dockers_status() {
        for (kind, status) in [
            (ErrorKind::NotFound, 404),
            (ErrorKind::AlreadyExists, 409),
            (ErrorKind::Conflict, 409),
            (ErrorKind::InvalidArgument, 400),
            (ErrorKind::NotModified, 304),
            (ErrorKind::Unauthorized, 401),
            (ErrorKind::Forbidden, 403),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Unsupported, 501),
            (ErrorKind::Cancelled, 500),
            (ErrorKind::Internal, 500),
        ] {
            assert_eq!(status_of(kind).as_u16(), status, "{kind:?}");
        }
    }

    #[test]
    fn failures_are_json_with_a_newline() {
        let answer = Failure::page_not_found().into_answer();
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(
            answer.into_body().into_bytes().unwrap(),
            "{\"message\":\"page not found\"}\n"
        );
    }

    #[test]
    fn not_modified_has_no_body() {
        let answer = Failure::new(ErrorKind::NotModified, "x").into_answer();
        assert!(!answer.headers().contains_key(header::CONTENT_TYPE));
        assert_eq!(answer.into_body().into_bytes().unwrap(), "");
    }
}
