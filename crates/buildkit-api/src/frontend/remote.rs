//! A context that the client hands over as an archive (`docker build - < context.tar`).

use std::io::{BufReader, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;

use super::load;
use crate::BuildKit;
use crate::builds::Build;
use crate::files::kept::Place;
use crate::session::{self, Exchange};
use crate::status::Status;
use crate::wire::fields;

/// How the client names what it hands over itself.
const HOST: &str = "buildkit-session";
const METHOD: &str = "/moby.upload.v1.Upload/Pull";
/// How much is read at a time.
const BUFFER: usize = 256 << 10;

/// Gets the context; with the step that did.
///
/// # Errors
/// For contexts that are elsewhere, for what is no archive, and those of the session.
pub(super) async fn get(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    address: &str,
) -> Result<(Place, String), Status> {
    let prefix = format!("http://{HOST}/");
    let Some(path) = address.strip_prefix(&prefix) else {
        let text = format!("the context {address} is not on the client: that is not supported");
        return Err(Status::unsupported(text));
    };
    let session = session::find(&service.sessions, &build.session).await?;
    if !session.offers(METHOD) {
        return Err(Status::invalid("the client does not hand its context over"));
    }
    let mut metadata = HeaderMap::new();
    let path = HeaderValue::try_from(format!("/{path}"));
    let path = path.map_err(|_| Status::invalid("a context that cannot be asked for"))?;
    metadata.insert("urlpath", path);
    metadata.insert("urlhost", HeaderValue::from_static(HOST));
    let vertex = load::vertex(build, "load remote build context");
    let digest = vertex.digest.clone();
    let receive = async {
        let exchange = session.call(METHOD, metadata).await?;
        let place = service.kept.take(&[""]);
        let place = place.map_err(|error| Status::internal(format!("keeping files: {error}")))?;
        let body = Body {
            exchange,
            runtime: Handle::current(),
            piece: Bytes::new(),
        };
        let work = tokio::task::spawn_blocking(move || {
            let body = BufReader::with_capacity(BUFFER, body);
            let received = gantry_build::context::receive(body, &place.directory);
            received
                .map(|()| place)
                .map_err(|error| Status::unknown(error.to_string()))
        });
        work.await
            .map_err(|error| Status::internal(error.to_string()))?
    };
    let place = build.progress.step(vertex, receive).await?;
    Ok((place, digest))
}

/// What the client hands over, for blocking code.
struct Body {
    exchange: Exchange,
    runtime: Handle,
    piece: Bytes,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            let message = self.runtime.block_on(self.exchange.next());
            let Some(message) = message.map_err(|status| std::io::Error::other(status.text))?
            else {
                return Ok(0);
            };
            for field in fields(&message) {
                let field = field.map_err(|status| std::io::Error::other(status.text))?;
                if field.number == 1 {
                    let bytes = field.bytes();
                    let bytes = bytes.map_err(|status| std::io::Error::other(status.text))?;
                    self.piece = message.slice_ref(bytes);
                }
            }
        }
        let len = self.piece.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.piece[..len]);
        self.piece.advance(len);
        Ok(len)
    }
}
