//! From a request to its answer: version, route, handler, headers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::body::{Answer, Content};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::hijack::Takeover;
use crate::negotiate;
use crate::query::{Query, unescape};
use crate::state::{Busy, State};
use crate::upload::Upload;

/// Answers one request; it never fails.
pub(crate) async fn serve(
    state: Arc<State>,
    request: http::Request<Incoming>,
    takeover: Takeover,
) -> http::Response<Tracked> {
    let busy = state.busy();
    tracing::debug!(method = %request.method(), uri = %request.uri(), "a request");
    let counted = Arc::clone(&state);
    let mut answer = match counted.answering(dispatch(state, request, takeover)).await {
        Ok(answer) => answer,
        Err(failure) => failure.into_answer(),
    };
    negotiate::add_headers(answer.headers_mut());
    answer.map(|content| Tracked {
        content,
        _busy: busy,
    })
}

async fn dispatch(
    state: Arc<State>,
    request: http::Request<Incoming>,
    takeover: Takeover,
) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    let body = Upload::of(body);
    let path = unescape(parts.uri.path(), false)?;
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
    };
    handler(call).await
}

/// An answer's body that counts as work until it is sent or given up.
pub(crate) struct Tracked {
    content: Content,
    _busy: Busy,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = std::convert::Infallible;

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
