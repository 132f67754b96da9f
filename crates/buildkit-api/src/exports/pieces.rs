//! A call of the client that takes what is exported.

use std::sync::Arc;
use std::time::SystemTime;

use gantry_sys::RootDir;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Handle;

use super::{Exporting, Response};
use crate::attest;
use crate::progress::Task;
use crate::session::{self, Exchange, Session};
use crate::status::Status;

/// The client's method that takes files.
const METHOD: &str = "/moby.filesync.v1.FileSend/DiffCopy";

/// How it is called what a client is told of a result.
const TOLD: &str = "exporter-md-";

/// How much of a file is sent at a time.
pub(crate) const PIECE: usize = 256 << 10;

/// Sends a result's files, if it has any, in one of the ways that clients take them. How
/// many bytes it were.
pub(super) type Send = fn(&[Part], Exchange, &Handle) -> Result<u64, Status>;

/// The files of one image of a result.
#[derive(Default)]
pub(crate) struct Part {
    /// The directory that they come into; none where there is but one image.
    pub(crate) directory: String,
    /// They, if there are any.
    pub(crate) files: Option<RootDir>,
    /// What is known of them, as files beside them, by their names.
    pub(crate) statements: Vec<Statement>,
    /// When all of them are said to have been changed, in seconds since 1970.
    pub(crate) time: Option<i64>,
}

/// Something that is known of a result, as a file.
pub(crate) struct Statement {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Part {
    /// The path that a file has for the client.
    pub(super) fn path(&self, name: &str) -> String {
        match self.directory.as_str() {
            "" => name.to_owned(),
            above => format!("{above}/{name}"),
        }
    }

    /// The same backwards.
    pub(super) fn inner<'p>(&self, path: &'p str) -> Option<&'p str> {
        Some(path.strip_prefix(&self.directory)?.trim_start_matches('/'))
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

/// How files are handed over.
pub(super) struct HandOver {
    /// The exporter's number.
    pub(super) number: usize,
    /// Whether those of each platform come into a directory of their own.
    pub(super) split: bool,
    /// What statements are called before their own names.
    pub(super) prefix: String,
    pub(super) send: Send,
    /// The step that this is, and what is done in it.
    pub(super) vertex: String,
    pub(super) task: &'static str,
}

/// Sends the files of a result to an exporter.
///
/// # Errors
/// Those of the session and of `send`, when the client does not take files, and when the
/// result has none to be sent.
pub(super) async fn hand_over(exporting: &Exporting<'_>, how: HandOver) -> Result<(), Status> {
    let (service, build) = (Arc::clone(exporting.service), exporting.build);
    let session = session::find(&service.sessions, &build.session).await?;
    let exchange = open(&session, how.number, &Response::new()).await?;
    let (solved, known) = (Arc::clone(exporting.solved), Arc::clone(exporting.known));
    let (runtime, time) = (Handle::current(), exporting.epoch);
    let progress = build.progress.clone();
    let work = move || {
        let images = std::iter::zip(solved.parts(), known.iter());
        let parts = images.map(|(image, known)| {
            let files = service.engine.builds.files(&image.built);
            let files = files.map_err(|error| Status::of(error.kind(), error.to_string()))?;
            let own = image.id().replace('/', "_");
            let suffix = Some(own.as_str()).filter(|_| solved.is_list() && !how.split);
            let name = |name: &str| match (suffix, name.split_once('.')) {
                (Some(own), Some((name, kind))) => format!("{}{name}.{own}.{kind}", how.prefix),
                _ => format!("{}{name}", how.prefix),
            };
            let statements = attest::as_files(known, files.as_ref(), &name)?;
            Ok(Part {
                directory: if how.split { own } else { String::new() },
                files,
                statements,
                time,
            })
        });
        let parts = parts.collect::<Result<Vec<_>, Status>>()?;
        let mut task = Task {
            name: how.task.to_owned(),
            started: Some(SystemTime::now()),
            ..Task::default()
        };
        let sent = (how.send)(&parts, exchange, &runtime)?;
        task.current = i64::try_from(sent).unwrap_or(i64::MAX);
        task.completed = Some(SystemTime::now());
        progress.task(&how.vertex, &task);
        Ok(())
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
