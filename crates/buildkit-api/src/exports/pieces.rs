//! A call of the client that takes what is exported.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;

use crate::BuildKit;
use crate::builds::Build;
use crate::session::{self, Exchange};
use crate::status::Status;

/// The client's method that takes files.
const METHOD: &str = "/moby.filesync.v1.FileSend/DiffCopy";

/// Begins to send to the exporter of this number.
///
/// # Errors
/// Those of the session, and when the client does not take files.
pub(super) async fn open(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    number: usize,
) -> Result<Exchange, Status> {
    let session = session::find(&service.sessions, &build.session).await?;
    if !session.offers(METHOD) {
        let text = format!("method {METHOD} not supported by the client");
        return Err(Status::invalid(text));
    }
    let mut metadata = HeaderMap::new();
    metadata.insert("buildkit-attachable-exporter-id", HeaderValue::from(number));
    session.call(METHOD, metadata).await
}

/// Ends the call from our side, and waits until the client has done its part.
///
/// # Errors
/// What the client tells.
pub(super) fn close(exchange: &mut Exchange, runtime: &Handle) -> Result<(), Status> {
    exchange.outgoing.end();
    runtime.block_on(async {
        while exchange.next().await?.is_some() {}
        Ok(())
    })
}
