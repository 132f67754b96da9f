//! Results that a client hands from one build to another (targets of a bake that stand on
//! each other): it gets a definition with a result, and gives it back as an input.
//!
//! In BuildKit that is the graph of steps that made the result. Here it is a single
//! source, whose address names the result, in two operations, as every definition is: the
//! source, and what points to it.

use std::sync::Arc;

use gantry_types::Digest;

use crate::BuildKit;
use crate::status::Status;
use crate::wire::{Message, fields};

/// How addresses of results begin.
const SCHEME: &str = "gantry-result://";
/// The same without what stands behind every scheme.
pub(crate) const RESULT: &str = "gantry-result";

/// The definition (`pb.Definition`) of a result.
pub(crate) fn write(result: &str) -> Message {
    let address = format!("{SCHEME}{result}");
    let source = Message::new().message(3, &Message::new().text(1, &address));
    let source = source.into_bytes();
    let digest = Digest::of(&source).to_string();
    let end = Message::new().message(1, &Message::new().text(1, &digest));
    let end = end.into_bytes();
    let known = [digest, Digest::of(&end).to_string()];
    let definition = Message::new().present(1, &source).present(1, &end);
    known.iter().fold(definition, |definition, digest| {
        let entry = Message::new().text(1, digest).present(2, &[]);
        definition.message(2, &entry)
    })
}

/// The result that a definition is of.
///
/// # Errors
/// For what is no definition.
pub(crate) fn read(definition: &[u8]) -> Result<Option<String>, Status> {
    // A source and what points to it; whatever has more is a graph of its own.
    let operations = fields(definition).filter(|field| matches!(field, Ok(it) if it.number == 1));
    if operations.count() > 2 {
        return Ok(None);
    }
    for field in fields(definition) {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        for part in fields(field.bytes()?) {
            let part = part?;
            if part.number != 3 {
                continue;
            }
            for attribute in fields(part.bytes()?) {
                let attribute = attribute?;
                if attribute.number == 1
                    && let Some(result) = attribute.text()?.strip_prefix(SCHEME)
                {
                    return Ok(Some(result.to_owned()));
                }
            }
        }
    }
    Ok(None)
}

/// The image that a result is; it is recorded for that, without a name.
///
/// # Errors
/// When the result is gone, or cannot be recorded.
pub(crate) async fn image(service: &Arc<BuildKit>, result: &str) -> Result<String, Status> {
    let gone = || Status::invalid(format!("the result {result} is gone"));
    let (id, _) = result.rsplit_once("::").ok_or_else(gone)?;
    let build = service.builds.get(id).await.ok_or_else(gone)?;
    let solved = build.result(result)?;
    let service = Arc::clone(service);
    let name = result.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let Some(built) = solved.named(&name) else {
            return Err(Status::invalid("a result without files"));
        };
        let id = service.engine.builds.commit(built, &[]);
        id.map(|id| id.to_string())
            .map_err(|error| Status::of(error.kind(), error.to_string()))
    });
    work.await
        .map_err(|error| Status::internal(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_found_again_and_nothing_else_is_taken_for_one() {
        let definition = write("ref::0").into_bytes();
        assert_eq!(read(&definition).unwrap().unwrap(), "ref::0");
        let source = Message::new().text(1, "docker-image://busybox");
        let op = Message::new().message(3, &source);
        let other = Message::new().message(1, &op).into_bytes();
        assert_eq!(read(&other).unwrap(), None);
        assert_eq!(read(&[]).unwrap(), None);
        assert!(read(&[0x0a]).is_err());
    }
}
