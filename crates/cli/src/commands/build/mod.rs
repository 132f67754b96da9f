//! `build`: an image of a Dockerfile and a folder.

mod check;
mod context;
mod request;
mod verify;

use std::io::Write;

use futures_util::future::LocalBoxFuture;
use gantry_api::ProgressMessage;

use super::Outcome;
use crate::args::Matches;
use crate::error::Error;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::transport::{Call, SendBody};

/// `docker build`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let source = context::of(&matches.operands[0], matches.text("file"))?;
        if matches.bool("check") {
            return check::run(session, matches, &source);
        }
        let call = request::call(session, matches, &source)?;
        let id = send(session, matches, &call, source.body()?, false).await?;
        if matches.bool("verify") {
            let again = request::again(session, matches, &source)?;
            let second = send(session, matches, &again, source.body()?, true).await?;
            verify::compare(session, &id, &second).await?;
        }
        write_file(matches.text("iidfile"), &id)?;
        let metadata = serde_json::json!({
            "containerimage.config.digest": id,
            "image.name": matches.list("tag").join(","),
        });
        write_file(matches.text("metadata-file"), &format!("{metadata:#}\n"))?;
        if matches.bool("quiet") {
            session.printer.line(&id);
        }
        Ok(0)
    })
}

fn write_file(path: &str, text: &str) -> Result<(), Error> {
    if path.is_empty() {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| Error::message(format!("write {path}: {error}")))
}

/// Sends a build and shows how it goes; answers the image's id.
async fn send(
    session: &Session,
    matches: &Matches,
    call: &Call,
    body: SendBody,
    silent: bool,
) -> Result<String, Error> {
    let quiet = silent || matches.bool("quiet") || matches.text("progress") == "quiet";
    let mut answer = session.client.send_stream(call, body).await?;
    let mut progress = Progress::new(session.printer, quiet, quiet);
    let mut reader = Lines::default();
    // What a quiet build says is of use only when it fails.
    let mut kept = Vec::new();
    let mut id = String::new();
    while let Some(piece) = answer.next().await? {
        for message in reader.feed(&piece)? {
            if let Some(found) = message.aux.as_ref().and_then(|aux| aux["ID"].as_str()) {
                id = found.to_owned();
                continue;
            }
            if !message.error.is_empty() {
                std::io::stderr().write_all(&kept).ok();
                let code = message
                    .error_detail
                    .as_ref()
                    .map_or(0, |detail| detail.code);
                return Err(Error::Status {
                    message: format!("ERROR: {}", message.error),
                    code: i32::try_from(code)
                        .ok()
                        .filter(|code| *code != 0)
                        .unwrap_or(1),
                });
            }
            match quiet {
                true => kept.extend_from_slice(message.stream.as_bytes()),
                false => {
                    let bytes = serde_json::to_vec(&message)
                        .map_err(|error| Error::message(error.to_string()))?;
                    progress.feed(&bytes)?;
                }
            }
        }
    }
    match id.is_empty() {
        true => Err(Error::message("the daemon's answer ended before the build")),
        false => Ok(id),
    }
}

/// The messages of an answer, whole.
#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<ProgressMessage>, Error> {
        self.pending.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let message = serde_json::from_slice(&line)
                .map_err(|error| Error::message(format!("invalid progress message: {error}")))?;
            messages.push(message);
        }
        Ok(messages)
    }
}
