//! containerd's content service, as far as clients look at what the history and images
//! have: documents and layers, by digest.

use std::io::Read;
use std::sync::Arc;

use gantry_types::Digest;

use crate::BuildKit;
use crate::message_stream::Outgoing;
use crate::server::Call;
use crate::status::{Code, Status};
use crate::wire::{Message, fields};

/// How much is sent at a time.
const PIECE: u64 = 256 << 10;

/// What is asked for.
struct Question {
    digest: Digest,
    offset: u64,
    /// Everything when it is 0.
    size: u64,
}

impl Question {
    async fn of(mut call: Call) -> Result<Self, Status> {
        let (mut digest, mut offset, mut size) = (String::new(), 0, 0);
        for field in fields(&call.incoming.only().await?) {
            let field = field?;
            match field.number {
                1 => digest = field.text()?,
                2 => offset = field.number()?,
                3 => size = field.number()?,
                _ => {}
            }
        }
        let digest = digest.parse();
        let digest = digest.map_err(|_| Status::invalid("invalid checksum digest format"))?;
        Ok(Self {
            digest,
            offset,
            size,
        })
    }
}

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
pub(crate) async fn info(service: &Arc<BuildKit>, call: Call) -> Result<Message, Status> {
    let question = Question::of(call).await?;
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
    call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let question = Question::of(call).await?;
    let failed = |error: &dyn std::fmt::Display| Status::unknown(error.to_string());
    let mut from: Box<dyn Read + Send> = match find(service, question.digest)? {
        Found::Document(bytes) => Box::new(std::io::Cursor::new(bytes)),
        Found::Layer(_) => {
            let store = service.engine.builds.store();
            let blob = store.open_blob(question.digest);
            Box::new(blob.map_err(|error| failed(&error))?)
        }
    };
    let mut skipped = (&mut from).take(question.offset);
    std::io::copy(&mut skipped, &mut std::io::sink()).map_err(|error| failed(&error))?;
    let mut left = match question.size {
        0 => u64::MAX,
        size => size,
    };
    let mut offset = question.offset;
    loop {
        let mut piece = Vec::new();
        let mut part = (&mut from).take(left.min(PIECE));
        part.read_to_end(&mut piece)
            .map_err(|error| failed(&error))?;
        if piece.is_empty() {
            return Ok(());
        }
        let message = Message::new().number(1, offset).bytes(2, &piece);
        outgoing.send(&message.into_bytes()).await?;
        offset += piece.len() as u64;
        left -= piece.len() as u64;
    }
}
