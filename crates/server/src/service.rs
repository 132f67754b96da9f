//! From a request to its answer: version, route, handler, headers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::body::{Answer, Content, no_content};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::hijack::Takeover;
use crate::negotiate;
use crate::peers::Peer;
use crate::query::{Query, unescape};
use crate::state::{Busy, State};
use crate::upload::Upload;

/// Answers one request; it never fails.
pub(crate) async fn serve(
    state: Arc<State>,
    request: http::Request<Incoming>,
    takeover: Takeover,
    peer: Peer,
) -> http::Response<Tracked> {
    let busy = state.busy();
    tracing::debug!(method = %request.method(), path = request.uri().path(), "a request");
    let counted = Arc::clone(&state);
    let mut answer = match counted
        .answering(dispatch(state, request, takeover, peer))
        .await
    {
        Ok(answer) => answer,
        Err(failure) => failure.into_answer(),
    };
    negotiate::add_headers(answer.headers_mut(), counted.experimental());
    answer.map(|content| Tracked {
        content,
        _busy: busy,
    })
}

async fn dispatch(
    state: Arc<State>,
    request: http::Request<Incoming>,
    takeover: Takeover,
    peer: Peer,
) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    let body = Upload::of(body);
    let path = unescape(parts.uri.path(), false)
        .map_err(|_| Failure::plain(StatusCode::BAD_REQUEST, "400 Bad Request"))?;
    if let Some(clean) = cleaned(&path) {
        return Ok(moved(&clean, parts.uri.query()));
    }
    let (version, path) = negotiate::version_of(&path)?;
    let shared = Arc::clone(&state);
    let Some((handler, params)) = shared.router.find(&parts.method, path) else {
        return Err(Failure::page_not_found());
    };
    let call = Call {
        state,
        version,
        query: Query::parse(parts.uri.query().unwrap_or(""))?,
        params,
        headers: parts.headers,
        body,
        takeover,
        peer,
    };
    handler(call).await
}

/// The path that is meant by one with empty, `.` or `..` segments; `None` when it
/// is the path itself.
fn cleaned(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

/// Tells the client where to look, as Docker does.
fn moved(path: &str, query: Option<&str>) -> Answer {
    let mut answer = no_content(StatusCode::MOVED_PERMANENTLY);
    let mut location = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => location.push(char::from(byte)),
            b'/' | b'-' | b'_' | b'.' | b'~' | b':' | b'@' | b'+' | b'=' | b'&' | b'$' | b',' => {
                location.push(char::from(byte));
            }
            other => location.push_str(&format!("%{other:02X}")),
        }
    }
    if let Some(query) = query {
        location = format!("{location}?{query}");
    }
    if let Ok(location) = HeaderValue::try_from(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// An answer's body that counts as work until it is sent or given up.
pub(crate) struct Tracked {
    content: Content,
    _busy: Busy,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.content).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (path, clean) in [
            ("/info", None),
            ("/networks/", None),
            ("/", None),
            ("//v1.51/info", Some("/v1.51/info")),
            ("/containers//json", Some("/containers/json")),
            ("/containers/../info", Some("/info")),
            ("/containers/./json/", Some("/containers/json/")),
            ("/../..", Some("/")),
        ] {
            assert_eq!(cleaned(path).as_deref(), clean, "{path}");
        }
    }

    #[test]
    fn the_query_moves_along() {
        let answer = moved("/a b", Some("x=%20"));
        assert_eq!(answer.status(), 301);
        assert_eq!(answer.headers()["location"], "/a%20b?x=%20");
    }
}
