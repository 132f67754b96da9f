//! Archives as answers: blocking work on a thread of its own writes them, piece by
//! piece, as fast as the client takes them.

use std::io;
use std::thread;

use bytes::Bytes;
use gantry_engine::Engine;
use gantry_types::ErrorKind;
use tokio::sync::{mpsc, oneshot};

use crate::body::Content;
use crate::error::{Failure, Result};

/// Such work needs little more than buffers, which are on the heap.
const STACK: usize = 1 << 20;

/// Where work tells that it can begin to answer, or why it cannot.
pub(crate) struct Begin<T>(oneshot::Sender<Result<T>>);

impl<T> Begin<T> {
    /// The answer may begin; says whether somebody waits for it.
    pub(crate) fn say(self, value: T) -> bool {
        self.0.send(Ok(value)).is_ok()
    }

    /// There is no answer.
    pub(crate) fn fail(self, error: gantry_engine::Error) {
        // The client is gone: nobody wants to know why.
        let _ = self.0.send(Err(error.into()));
    }
}

/// Where the pieces of an archive go.
pub(crate) type Sender = mpsc::Sender<io::Result<Bytes>>;

/// Runs `work`, which writes an archive, on a thread of its own: a client may take
/// as long as it likes. Returns when it has begun.
///
/// # Errors
/// Those of the work before it began.
pub(crate) async fn archive<T: Send + 'static>(
    name: &str,
    work: impl FnOnce(Begin<T>, Sender) + Send + 'static,
) -> Result<(T, Content)> {
    let (begin, begun) = oneshot::channel();
    let (pieces, content) = Content::whole();
    spawn(name, move || work(Begin(begin), pieces))?;
    Ok((begun.await.map_err(|_| broken(name))??, content))
}

/// Runs blocking `work` that may last as long as the client likes.
///
/// # Errors
/// Those of the work.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    name: &str,
    engine: std::sync::Arc<Engine>,
    work: impl FnOnce(&Engine) -> gantry_engine::Result<T> + Send + 'static,
) -> Result<T> {
    let (done, result) = oneshot::channel();
    spawn(name, move || {
        // The client is gone: the work was for nobody.
        let _ = done.send(work(&engine));
    })?;
    Ok(result.await.map_err(|_| broken(name))??)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map(drop)
        .map_err(|error| Failure::new(ErrorKind::Unavailable, format!("{name}: {error}")))
}

fn broken(name: &str) -> Failure {
    Failure::new(ErrorKind::Internal, format!("{name}: internal error"))
}

/// Sends what `write` makes; when that fails, the answer is cut off.
pub(crate) fn send<E: std::fmt::Display>(
    pieces: &Sender,
    write: impl FnOnce(&mut dyn FnMut(Vec<u8>) -> io::Result<()>) -> Result<(), E>,
) {
    let mut push = |piece: Vec<u8>| {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        pieces.blocking_send(Ok(piece.into())).map_err(gone)
    };
    if let Err(error) = write(&mut push) {
        tracing::warn!(%error, "an archive is not complete");
        // Nobody reads it when the client has gone.
        let _ = pieces.blocking_send(Err(io::Error::other(error.to_string())));
    }
}
