//! A call of the client that takes what is exported.

use std::sync::Arc;

use gantry_sys::RootDir;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Handle;

use super::Response;
use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::Solved;
use crate::session::{self, Exchange, Session};
use crate::status::Status;

/// The client's method that takes files.
const METHOD: &str = "/moby.filesync.v1.FileSend/DiffCopy";

/// How it is called what a client is told of a result.
const TOLD: &str = "exporter-md-";

/// How much of a file is sent at a time.
pub(super) const PIECE: usize = 256 << 10;

/// Sends a result's files, if it has any, in one of the ways that clients take them.
pub(super) type Send = fn(&[Part], Exchange, &Handle) -> Result<(), Status>;

/// The files of one image of a result.
pub(crate) struct Part {
    /// The directory that they come into; none where there is but one image.
    pub(crate) directory: String,
    /// They, if there are any.
    pub(crate) files: Option<RootDir>,
}

/// Sends the files of a result to the exporter of this number; with `split` those of each
/// platform in a directory of their own.
///
/// # Errors
/// Those of the session and of `send`, when the client does not take files, and when the
/// result has none to be sent.
pub(super) async fn hand_over(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    solved: &Arc<Solved>,
    number: usize,
    split: bool,
    send: Send,
) -> Result<(), Status> {
    let session = session::find(&service.sessions, &build.session).await?;
    let exchange = open(&session, number, &Response::new()).await?;
    let (service, solved) = (Arc::clone(service), Arc::clone(solved));
    let runtime = Handle::current();
    let work = move || {
        let parts = solved.parts().iter().map(|image| {
            let files = service.engine.builds.files(&image.built);
            let files = files.map_err(|error| Status::of(error.kind(), error.to_string()))?;
            let directory = match split {
                true => image.id().replace('/', "_"),
                false => String::new(),
            };
            Ok(Part { directory, files })
        });
        let parts = parts.collect::<Result<Vec<_>, Status>>()?;
        send(&parts, exchange, &runtime)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}

/// Begins to send to the exporter of this number, which is told what is known of the
/// result.
///
/// # Errors
/// When the client does not take files.
pub(super) async fn open(
    session: &Session,
    number: usize,
    known: &Response,
) -> Result<Exchange, Status> {
    if !session.offers(METHOD) {
        let text = format!("method {METHOD} not supported by the client");
        return Err(Status::invalid(text));
    }
    let mut metadata = HeaderMap::new();
    metadata.insert("buildkit-attachable-exporter-id", HeaderValue::from(number));
    for (name, value) in known {
        let name = HeaderName::try_from(format!("{TOLD}{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            metadata.insert(name, value);
        }
    }
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
