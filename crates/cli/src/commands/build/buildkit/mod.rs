//! A build by BuildKit's own API, as buildx asks for one: the way of whatever needs a
//! session, in which the daemon asks this client for files, secrets and agents, and gives
//! it what was exported.
//!
//! ```text
//!  POST /grpc     we call:       Control.Solve ∥ Control.Status
//!  POST /session  we are called: folders, secrets, credentials, agents, stores, archives
//! ```
//!
//! All other builds go by `POST /build` (`send.rs`), which is quicker.

mod agents;
mod attached;
mod folder;
mod plan;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_dockerfile::Span;
use gantry_grpc::wire::{Message, fields};
use gantry_grpc::{Caller, Code, Status};
use http::HeaderMap;
use serde_json::Value;

use super::Wishes;
use super::context::Source;
use super::events::Events;
use super::send::{Built, TICK};
use super::show::Show;
use crate::error::Error;
use crate::random_id::random_id;
use crate::session::Session;
use crate::transport::Call;
use attached::Attached;
use plan::Plan;
pub(super) use plan::{platforms, wished};

/// How much of a file is sent or read at a time, in bytes.
const PIECE: usize = 256 << 10;

fn wrong(path: &Path, error: &std::io::Error) -> Status {
    Status::unknown(format!("{}: {error}", path.display()))
}

/// The protocol of both connections.
const PROTOCOL: &str = "h2c";
/// The type of a detail that tells which lines a failure is about.
const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";

/// Builds, and shows how it goes.
pub(super) async fn build(
    session: &Session,
    wishes: &Wishes<'_>,
    mut show: Show,
) -> Result<Built, Error> {
    let plan = Plan::of(session, wishes)?;
    let id = random_id().map_err(|errno| Error::message(format!("random numbers: {errno}")))?;
    let attached = Arc::new(Attached::new(session, wishes, &plan)?);
    let introduction = attached.introduce(Call::post("/session"), &id, wishes.source);
    let called = session.client.upgrade(&introduction, PROTOCOL).await?;
    let serving = tokio::spawn(gantry_grpc::serve(Arc::clone(&attached), called.stream));
    let grpc = session
        .client
        .upgrade(&Call::post("/grpc"), PROTOCOL)
        .await?;
    let (caller, connection) = Caller::new(grpc.stream).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let solved = solve(&caller, &plan, &id, &mut show).await;
    connection.abort();
    let response = match solved {
        Ok(response) => response,
        Err(status) => {
            show.end(true);
            serving.abort();
            return Err(failed(&status, wishes.source));
        }
    };
    attached.end()?;
    serving.abort();
    plan.note_what_came(&response)?;
    show.end(false);
    Ok(Built(response.into_iter().map(told).collect()))
}

/// A build, and all that is told of it; what has become of it.
async fn solve(
    caller: &Caller,
    plan: &Plan,
    session: &str,
    show: &mut Show,
) -> Result<BTreeMap<String, String>, Status> {
    let id = random_id().map_err(|errno| Status::internal(format!("random numbers: {errno}")))?;
    let request = plan.request(&id, session).into_bytes();
    let solving = caller.unary("/moby.buildkit.v1.Control/Solve", &request);
    let watching = watch(caller, &id, show);
    // Whatever way a build ends, all that was told of it is shown.
    let (solved, watched) = tokio::join!(solving, watching);
    let answer = solved?;
    watched?;
    let mut response = BTreeMap::new();
    for field in fields(&answer) {
        let field = field?;
        if field.number == 1 {
            field.add_to(&mut response)?;
        }
    }
    Ok(response)
}

async fn watch(caller: &Caller, id: &str, show: &mut Show) -> Result<(), Status> {
    let question = Message::new().text(1, id).into_bytes();
    let method = "/moby.buildkit.v1.Control/Status";
    let mut exchange = caller.call(method, HeaderMap::new()).await?;
    exchange.outgoing.send(&question).await?;
    exchange.outgoing.end();
    loop {
        let Ok(message) = tokio::time::timeout(TICK, exchange.next()).await else {
            show.tick();
            continue;
        };
        let Some(message) = message? else {
            return Ok(());
        };
        show.events(&Events::read(&message)?);
    }
}

/// A value as `--metadata-file` has it: what is a document is shown as one.
fn told((name, text): (String, String)) -> (String, Value) {
    let document = STANDARD.decode(&text).ok();
    let document = document.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let document = document.filter(|value| value.is_object() || value.is_array());
    (name, document.unwrap_or(Value::String(text)))
}

/// A build that failed: the lines that are meant, and why.
fn failed(status: &Status, source: &Source) -> Error {
    if let Some(lines) = excerpt(status, source) {
        std::io::Write::write_all(&mut std::io::stderr(), lines.as_bytes()).ok();
    }
    let text = match status.code {
        Code::Canceled => "Canceled: context canceled",
        _ => &status.text,
    };
    Error::message(format!("failed to solve: {text}"))
}

fn excerpt(status: &Status, source: &Source) -> Option<String> {
    let (_, json) = status.details.iter().find(|(kind, _)| kind == SOURCE)?;
    let detail: Value = serde_json::from_slice(json).ok()?;
    let line = |end: &str| usize::try_from(detail["ranges"][0][end]["line"].as_u64()?).ok();
    let span = Span::new(line("start")?, line("end")?);
    let name = detail["info"]["filename"].as_str().unwrap_or("Dockerfile");
    gantry_dockerfile::excerpt(name, source.text.as_deref()?, span)
}

fn broken(status: Status) -> Error {
    Error::message(format!("failed to solve: {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_shown_as_such() {
        let shown = |text: &str| told(("k".to_owned(), text.to_owned())).1;
        assert_eq!(shown("eyJhIjoxfQ=="), serde_json::json!({"a": 1}));
        for text in ["sha256:0", "MTI=", "a,b"] {
            assert_eq!(shown(text), Value::String(text.to_owned()));
        }
    }
}
