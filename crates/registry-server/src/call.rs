//! A request as its handler sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::auth::Who;
use crate::failure::{Code, Failure, Result};
use crate::query::Query;
use crate::service::App;

/// A request as its handler sees it.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
    /// Who asks.
    pub(crate) who: Who,
    /// Where from.
    pub(crate) peer: SocketAddr,
}

impl Call {
    /// A header's text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The whole body, of at most `most` bytes.
    ///
    /// # Errors
    /// 413 when it is longer; when the connection is cut.
    pub(crate) async fn bytes(body: Incoming, most: usize, code: Code) -> Result<bytes::Bytes> {
        match Limited::new(body, most).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                let text = format!("more than {most} bytes");
                Err(Failure::with(code, text).status(http::StatusCode::PAYLOAD_TOO_LARGE))
            }
            Err(_) => Err(Failure::with(code, "the connection was cut")),
        }
    }

    /// `n` and `last` of a list: how many are asked for, and behind what.
    ///
    /// # Errors
    /// `PAGINATION_NUMBER_INVALID`.
    pub(crate) fn page(&self) -> Result<Page> {
        let last = self.query.get("last").unwrap_or("").to_owned();
        let n = match self.query.get("n") {
            None => MOST_ITEMS,
            Some(text) => text.parse::<u64>().map_err(|_| {
                Failure::new(Code::PaginationNumberInvalid).detail(serde_json::json!({ "n": text }))
            })?,
        };
        Ok(Page {
            n: n.min(MOST_ITEMS),
            last,
        })
    }
}

/// How many items a list has at most.
const MOST_ITEMS: u64 = 10_000;

/// A part of a list.
pub(crate) struct Page {
    pub(crate) n: u64,
    pub(crate) last: String,
}

impl Page {
    /// Shortens a list that has one item more than asked for to that, and answers
    /// what a `Link` to the rest says of `path`.
    pub(crate) fn cut(&self, path: &str, items: &mut Vec<String>) -> Option<String> {
        let more = items.len() as u64 > self.n;
        items.truncate(usize::try_from(self.n).unwrap_or(usize::MAX));
        let last = items.last().filter(|_| more)?;
        let last = crate::query::escape(last);
        Some(format!("<{path}?last={last}&n={}>; rel=\"next\"", self.n))
    }
}

/// Runs work that may wait for the disk on a thread for that.
///
/// # Errors
/// Those of the work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a working thread");
        Failure::new(Code::Unknown)
    })?
}
