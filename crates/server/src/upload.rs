//! A request's body that is let run out when nobody wants the rest of it.
//!
//! hyper closes the connection under a client that is still sending; most
//! clients then tell of a broken pipe, and never read the answer that says why.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// How long a client may go on sending what nobody reads.
const LINGER: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// The bytes of a request.
#[derive(Debug)]
pub(crate) struct Upload<B = Incoming>(Option<B>)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static;

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Upload<B> {
    /// The body of a request; `None` when it has none.
    pub(crate) fn of(body: B) -> Option<Self> {
        (!body.is_end_stream()).then_some(Self(Some(body)))
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Body for Upload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for Upload<B> {
    fn drop(&mut self) {
        if let Some(mut body) = self.0.take()
            && !body.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
            runtime.spawn(tokio::time::timeout(LINGER, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Content;

    #[tokio::test]
    async fn what_nobody_wants_is_taken_all_the_same() {
        let (sender, content) = Content::pieces();
        drop(Upload::of(content));
        for _ in 0..100 {
            sender.send(Bytes::from_static(b"more")).await.unwrap();
        }
    }

    #[tokio::test]
    async fn but_not_forever() {
        let (sender, content) = Content::pieces();
        drop(Upload::of(content));
        tokio::time::sleep(LINGER + LINGER / 4).await;
        assert!(sender.send(Bytes::new()).await.is_err());
    }

    #[test]
    fn no_body_is_none() {
        assert!(Upload::of(Content::empty()).is_none());
    }
}
