//! Sends a build, shows how it goes, and hears what has become of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::ProgressMessage;
use serde_json::Value;

use super::context::Source;
use super::events::Events;
use super::near;
use super::output::{Output, Sinks};
use super::show::Show;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// Under these the daemon tells what happens, and what it has exported.
const TRACE: &str = "moby.buildkit.trace";
const FILES: &str = "gantry.build.files";
const RESULT: &str = "gantry.build.result";
/// How often what changes with time is drawn again.
pub(super) const TICK: Duration = Duration::from_millis(150);

/// What a build has become: names and values, as `--metadata-file` has them.
#[derive(Debug, Default)]
pub(super) struct Built(pub(super) BTreeMap<String, Value>);

impl Built {
    /// The image's id, if there is one.
    pub(super) fn id(&self) -> &str {
        let id = self.0.get("containerimage.config.digest");
        id.and_then(Value::as_str).unwrap_or("")
    }
}

/// Sends a build and shows how it goes.
pub(super) async fn send(
    session: &Session,
    call: &Call,
    source: &Source,
    mut show: Show,
    outputs: &[Output],
) -> Result<Built, Error> {
    let mut answer = near::ask(session, call, source).await?;
    let mut reader = Lines::default();
    let mut sinks = Sinks::open(outputs)?;
    let mut built = None;
    // What is to be said below what has failed.
    let mut words = String::new();
    loop {
        let Ok(piece) = tokio::time::timeout(TICK, answer.next()).await else {
            show.tick();
            continue;
        };
        let Some(piece) = piece? else { break };
        for message in reader.feed(&piece)? {
            if !message.error.is_empty() {
                show.end(true);
                std::io::stderr().write_all(words.as_bytes()).ok();
                return Err(Error::message(message.error));
            }
            match (message.id.as_str(), message.aux) {
                (TRACE, Some(Value::String(text))) => {
                    let events = STANDARD.decode(&text).ok();
                    let events = events.and_then(|bytes| Events::read(&bytes).ok());
                    show.events(&events.ok_or_else(|| Error::message("invalid trace of a build"))?);
                }
                (RESULT, Some(Value::Object(result))) => {
                    built = Some(Built(result.into_iter().collect()));
                }
                (FILES, Some(piece)) => files(&mut sinks, &piece)?,
                // A daemon that knows the classic builder only.
                (_, Some(aux)) => {
                    let id = aux["ID"].clone();
                    let name = "containerimage.config.digest".to_owned();
                    built = Some(Built([(name, id)].into()));
                }
                (_, None) => words.push_str(&message.stream),
            }
        }
    }
    sinks.end()?;
    show.end(false);
    built.ok_or_else(|| Error::message("the daemon's answer ended before the build"))
}

/// Takes a piece of the files of an output.
fn files(sinks: &mut Sinks, piece: &Value) -> Result<(), Error> {
    let place = piece["output"].as_u64().unwrap_or(u64::MAX);
    let bytes = STANDARD.decode(piece["data"].as_str().unwrap_or_default());
    let bytes = bytes.map_err(|_| Error::message("invalid files of a build"))?;
    sinks.take(usize::try_from(place).unwrap_or(usize::MAX), &bytes)
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
        let whole = self.pending.iter().rposition(|byte| *byte == b'\n');
        let rest = self.pending.split_off(whole.map_or(0, |end| end + 1));
        for line in self.pending.split(|byte| *byte == b'\n') {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let message = serde_json::from_slice(line)
                .map_err(|error| Error::message(format!("invalid progress message: {error}")))?;
            messages.push(message);
        }
        self.pending = rest;
        Ok(messages)
    }
}
