//! containerd's content service, as far as clients look at what the history and images
//! have: documents and layers, by digest.

use std::io::Read;
use std::sync::Arc;

use gantry_grpc::content::Question;
use gantry_types::Digest;

use crate::BuildKit;
use crate::message_stream::Outgoing;
use crate::server::Call;
use crate::status::{Code, Status};
use crate::wire::Message;

/// Bytes that somebody may look at.
enum Found {
    Document(Vec<u8>),
    Layer(u64),
}

fn find(service: &BuildKit, digest: Digest) -> Result<Found, Status> {
    if let Some(document) = service.history.document(digest) {
        return Ok(Found::Document(document));
    }
    let store = service.engine.builds.store();
    let missing = || Status::new(Code::NotFound, format!("content {digest}: not found"));
    match store.document(digest) {
        Ok(Some(document)) => Ok(Found::Document(document)),
        Ok(None) => store
            .blob_size(digest)
            .map(Found::Layer)
            .ok_or_else(missing),
        Err(error) => Err(Status::of(error.kind(), error.to_string())),
    }
}

/// `Info`: how long it is.
pub(crate) async fn info(service: &Arc<BuildKit>, mut call: Call) -> Result<Message, Status> {
    let question = Question::of(&mut call).await?;
    let size = match find(service, question.digest)? {
        Found::Document(bytes) => bytes.len() as u64,
        Found::Layer(size) => size,
    };
    let info = Message::new()
        .text(1, &question.digest.to_string())
        .number(2, size);
    Ok(Message::new().message(1, &info))
}

/// `Read`: its bytes.
pub(crate) async fn read(
    service: &Arc<BuildKit>,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let question = Question::of(&mut call).await?;
    let failed = |error: std::io::Error| Status::unknown(error.to_string());
    let mut from: Box<dyn Read + Send> = match find(service, question.digest)? {
        Found::Document(bytes) => Box::new(std::io::Cursor::new(bytes)),
        Found::Layer(_) => {
            let store = service.engine.builds.store();
            let blob = store.open_blob(question.digest);
            Box::new(blob.map_err(|error| Status::unknown(error.to_string()))?)
        }
    };
    let mut skipped = (&mut from).take(question.offset);
    std::io::copy(&mut skipped, &mut std::io::sink()).map_err(failed)?;
    question.answer(from, outgoing, failed).await
}
